//! The body of a form, passed to the form parser in bounded frames, with a budget of bytes between
//! two files. Without these bounds the parser reads ahead as far as it can and keeps each part's
//! header in memory until the header ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use convite_core::Problem;
use http_body::Frame;

/// The maximum number of bytes between two files: the rest of a frame, a boundary and a part's
/// header.
const HEAD_MAX: usize = 16 << 10;
/// The largest frame passed to the parser, in bytes. A header may exceed [`HEAD_MAX`] by one frame.
const FRAME_MAX: usize = 64 << 10;

/// The number of bytes left for the header of the next part.
#[derive(Clone)]
pub(crate) struct HeadBudget {
    left: Arc<AtomicUsize>,
    is_spent: Arc<AtomicBool>,
}

impl Default for HeadBudget {
    fn default() -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(HEAD_MAX)),
            is_spent: Arc::default(),
        }
    }
}

impl HeadBudget {
    /// Resets the budget, before the header of a part.
    pub(crate) fn refill(&self) {
        self.left.store(HEAD_MAX, Ordering::Relaxed);
    }

    /// Suspends the budget, before the contents of a part, which are bounded elsewhere.
    pub(crate) fn suspend(&self) {
        self.left.store(usize::MAX, Ordering::Relaxed);
    }

    /// Replaces a parser error by the budget's error if the budget caused it.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the header of a part was too long, and otherwise the error of
    /// `result`.
    pub(crate) fn replace_error<T>(&self, result: Result<T, Problem>) -> Result<T, Problem> {
        if self.is_spent.load(Ordering::Relaxed) {
            Err(Problem::invalid(format!(
                "the form has a part with a header longer than {HEAD_MAX} bytes"
            )))
        } else {
            result
        }
    }

    /// Takes `bytes` from the budget. Returns whether they may be read.
    fn spend(&self, bytes: usize) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            self.is_spent.store(true, Ordering::Relaxed);
            return false;
        }
        if left != usize::MAX {
            let left = left.saturating_sub(bytes);
            self.left.store(left, Ordering::Relaxed);
        }
        true
    }
}

/// A body that passes one bounded frame per poll.
pub(crate) struct BoundedFrames {
    body: Body,
    rest: Bytes,
    budget: HeadBudget,
    /// Whether the last poll returned a frame. The next poll then returns `Pending` once, so that
    /// the parser handles the frame first.
    had: bool,
}

impl BoundedFrames {
    pub(crate) fn new(body: Body, budget: HeadBudget) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            budget,
            had: false,
        }
    }
}

impl http_body::Body for BoundedFrames {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if std::mem::take(&mut self.had) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest = data;
                    }
                }
                over => return Poll::Ready(over),
            }
        }
        let bytes = self.rest.len().min(FRAME_MAX);
        if !self.budget.spend(bytes) {
            let error = axum::Error::new("a part's header is too long");
            return Poll::Ready(Some(Err(error)));
        }
        self.had = true;
        let frame = self.rest.split_to(bytes);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }
}
