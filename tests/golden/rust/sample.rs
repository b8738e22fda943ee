//! Orders of the shop.

use std::collections::HashMap;
use std::fmt::{self, Display};

const RATE: f64 = 0.19;

/// An order.
///
/// With lines.
#[derive(Debug, Clone)]
pub struct Order<'a, T> {
    /// The number.
    pub number: u32,
    lines: Vec<&'a T>,
}

/// What can be priced.
pub trait Priced {
    const CURRENCY: &'static str;

    /// The price without tax.
    fn net(&self) -> f64;

    /// The price with tax.
    fn gross(&self) -> f64 {
        self.net() * (1.0 + RATE)
    }
}

pub enum State {
    Open,
    Closed { by: String },
}

impl<'a, T: Priced> Order<'a, T> {
    /// Makes an empty order.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self { number, lines: Vec::new() }
    }

    #[inline]
    pub async fn total(&self, discount: Option<f64>) -> Result<f64, String> {
        let mut sum = 0.0;
        'outer: for line in &self.lines {
            if line.net() < 0.0 || line.gross() < 0.0 {
                return Err("negative".to_string());
            } else if line.net() == 0.0 {
                continue 'outer;
            } else {
                sum += line.gross();
            }
        }
        match discount {
            Some(value) if value > 0.0 => Ok(sum - value),
            Some(_) => Ok(sum),
            _ => Ok(self.lines.iter().map(|line| line.net()).sum()),
        }
    }
}

impl<T> Display for Order<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.number)
    }
}

#[macro_export]
macro_rules! order {
    ($number:expr) => {
        Order::new($number)
    };
}

fn index<K: std::hash::Hash + Eq, V>(values: HashMap<K, V>) -> usize
where
    V: Display,
{
    values.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_empty() {
        let order: Order<'_, Nothing> = order!(1);
        assert!(order.lines.is_empty());
    }
}
