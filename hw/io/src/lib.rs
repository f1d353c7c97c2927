//! The PacketIo back-ends: io_uring, mmsg, ICE over TCP
