//! What the firewall lets through.

pub mod cover;
pub mod rules;

#[cfg(test)]
mod tests;
