//! Sort keys and directions of search results.

use std::str::FromStr;

use crate::display;
use crate::error::Problem;

/// The sort key of search results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// Relevance of the match.
    #[default]
    Relevance,
    /// Number of online peers that hold the file.
    Providers,
    /// File size.
    Size,
    /// Time of last modification.
    Date,
}

impl Sort {
    /// Returns the name used in the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Providers => "providers",
            Self::Size => "size",
            Self::Date => "date",
        }
    }
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
                Err(Problem::invalid(format!("'{shown}' is not a sort key"))
                    .hint("sort by relevance, providers, size or date"))
            }
        }
    }
}

/// The sort direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Best, most, largest or newest first.
    #[default]
    Descending,
    /// Fewest, smallest or oldest first.
    Ascending,
}

impl Order {
    /// Returns the name used in the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Descending => "desc",
            Self::Ascending => "asc",
        }
    }
}

impl FromStr for Order {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "desc" => Ok(Self::Descending),
            "asc" => Ok(Self::Ascending),
            _ => {
                let shown = display::escape(text);
                Err(Problem::invalid(format!("'{shown}' is not a sort order"))
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
