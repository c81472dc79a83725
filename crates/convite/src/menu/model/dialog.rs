//! Dialogs, which are shown in front of a screen.

use convite_core::{ContentHash, Problem};

use super::downloads::TransferId;
use super::input::TextField;
use super::remote_fetches::RemoteFetchDialog;
use super::selection::Scroll;
use super::uploads::UploadDialog;

/// A question with two answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    pub question: String,
    pub detail: String,
    pub yes: &'static str,
    pub no: &'static str,
    /// Whether Enter answers yes.
    pub is_yes: bool,
    pub then: ConfirmedAction,
}

/// The action after the answer yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfirmedAction {
    Quit,
    Unshare(String),
    Cancel(TransferId),
}

/// The dialog for downloading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetDialog {
    pub hash: ContentHash,
    pub name: String,
    pub size: u64,
    /// The folder and the peer of the file, if known.
    pub found: String,
    pub folder: TextField,
}

/// The dialog for sharing a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareDialog {
    pub folder: TextField,
    /// Whether a request is pending.
    pub busy: bool,
    /// The error of the last attempt.
    pub problem: Option<Problem>,
}

/// The open dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialog {
    Help(Scroll),
    Invitation,
    Get(GetDialog),
    RemoteFetch(RemoteFetchDialog),
    Upload(UploadDialog),
    Share(ShareDialog),
    Confirm(Confirm),
}

impl Dialog {
    /// Returns whether letters are typed into a field.
    pub fn is_typing(&self) -> bool {
        self.input_ref().is_some()
    }

    fn input_ref(&self) -> Option<&TextField> {
        match self {
            Self::Get(get) => Some(&get.folder),
            Self::Upload(upload) => Some(&upload.file),
            Self::Share(share) => Some(&share.folder),
            Self::Help(_) | Self::Invitation | Self::RemoteFetch(_) | Self::Confirm(_) => None,
        }
    }

    /// Returns the text field, if there is one.
    pub fn input(&mut self) -> Option<&mut TextField> {
        match self {
            Self::Get(get) => Some(&mut get.folder),
            Self::Upload(upload) => Some(&mut upload.file),
            Self::Share(share) => Some(&mut share.folder),
            Self::Help(_) | Self::Invitation | Self::RemoteFetch(_) | Self::Confirm(_) => None,
        }
    }
}
