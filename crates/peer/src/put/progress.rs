//! The progress of an upload.

/// The progress of an upload; sent on change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadProgress {
    /// Bytes that the receiver has or that are being sent.
    pub sent: u64,
    /// Bytes that the receiver had from an earlier attempt.
    pub resumed: u64,
    /// The size of the file in bytes.
    pub size: u64,
}
