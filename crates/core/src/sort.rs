//! In which order the results of a search come.

use std::str::FromStr;

use crate::display;
use crate::error::Problem;

/// What results are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// How well they match.
    #[default]
    Relevance,
    /// How many peers that are online hold them.
    Providers,
    /// Their size.
    Size,
    /// When they were last changed.
    Date,
}

impl FromStr for Sort {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "relevance" => Ok(Self::Relevance),
            "providers" => Ok(Self::Providers),
            "size" => Ok(Self::Size),
            "date" => Ok(Self::Date),
            _ => {
                let shown = display::escape(text);
                Err(Problem::invalid(format!("'{shown}' is nothing to sort by"))
                    .hint("sort by relevance, providers, size or date"))
            }
        }
    }
}

/// Which end of the order comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// The best, the most, the largest, the newest.
    #[default]
    Descending,
    /// The fewest, the smallest, the oldest.
    Ascending,
}

impl FromStr for Order {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "desc" => Ok(Self::Descending),
            "asc" => Ok(Self::Ascending),
            _ => {
                let shown = display::escape(text);
                Err(Problem::invalid(format!("'{shown}' is not an order"))
                    .hint("the orders are desc and asc"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_names() {
        assert_eq!("size".parse(), Ok(Sort::Size));
        assert_eq!("asc".parse(), Ok(Order::Ascending));
        assert!("".parse::<Sort>().is_err() && "name".parse::<Sort>().is_err());
        assert!("".parse::<Order>().is_err() && "up".parse::<Order>().is_err());
    }
}
