//! Conferences, participants, roles and layout wishes: a pure state machine
