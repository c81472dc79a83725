//! What stands in front of a screen and wants an answer.

use convite_core::{ContentHash, Problem};

use super::{Input, LoadDialog, PutDialog, Scroll, TransferId};

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
    /// The folder and the peer that it is found in, where that is known.
    pub found: String,
    pub folder: Input,
}

/// A folder that is about to be shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareDialog {
    pub folder: Input,
    /// An answer is awaited.
    pub busy: bool,
    /// Why it cannot be shared.
    pub problem: Option<Problem>,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialog {
    Help(Scroll),
    Invitation,
    Get(GetDialog),
    Load(LoadDialog),
    Put(PutDialog),
    Share(ShareDialog),
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
            Self::Share(share) => Some(&share.folder),
            Self::Help(_) | Self::Invitation | Self::Load(_) | Self::Confirm(_) => None,
        }
    }

    /// What is being typed.
    pub fn input(&mut self) -> Option<&mut Input> {
        match self {
            Self::Get(get) => Some(&mut get.folder),
            Self::Put(put) => Some(&mut put.file),
            Self::Share(share) => Some(&mut share.folder),
            Self::Help(_) | Self::Invitation | Self::Load(_) | Self::Confirm(_) => None,
        }
    }
}
