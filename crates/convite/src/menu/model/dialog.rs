//! What stands in front of a screen and wants an answer.

use convite_core::ContentHash;

use super::{Input, LoadDialog, PutDialog, TransferId};

/// A question with two answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    pub question: String,
    pub detail: String,
    pub yes: &'static str,
    pub no: &'static str,
    /// Which answer Enter gives.
    pub is_yes: bool,
    pub then: Consequence,
}

/// What yes means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consequence {
    Quit,
    Unshare(String),
    Cancel(TransferId),
}

/// A file that is about to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetDialog {
    pub hash: ContentHash,
    pub name: String,
    pub size: u64,
    pub folder: Input,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialog {
    Help,
    Invitation,
    Get(GetDialog),
    Load(LoadDialog),
    Put(PutDialog),
    /// A folder that is about to be shared.
    Share(Input),
    Confirm(Confirm),
}

impl Dialog {
    /// Whether a letter is text here.
    pub fn is_typing(&self) -> bool {
        self.input_ref().is_some()
    }

    fn input_ref(&self) -> Option<&Input> {
        match self {
            Self::Get(get) => Some(&get.folder),
            Self::Put(put) => Some(&put.file),
            Self::Share(path) => Some(path),
            Self::Help | Self::Invitation | Self::Load(_) | Self::Confirm(_) => None,
        }
    }

    /// What is being typed.
    pub fn input(&mut self) -> Option<&mut Input> {
        match self {
            Self::Get(get) => Some(&mut get.folder),
            Self::Put(put) => Some(&mut put.file),
            Self::Share(path) => Some(path),
            Self::Help | Self::Invitation | Self::Load(_) | Self::Confirm(_) => None,
        }
    }
}
