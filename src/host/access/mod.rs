//! Access control: who may do what.

pub mod effective;
