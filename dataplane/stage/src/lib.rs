//! Speaker order and seats: who fills which slot or tile
