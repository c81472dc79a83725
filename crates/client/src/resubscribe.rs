//! Streams of updates that continue at another replica when the current one fails.
//!
//! Each stream has one task, which ends when the reader drops the stream.

use std::future::Future;
use std::time::Instant;

use convite_core::{ErrorCode, Problem};
use convite_net::task;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};

use crate::retry::{Retry, chance};

/// Returns a stream that reads `stream` and, when it breaks, continues with a new one from `open`.
/// If `open` is refused, the refusal is the last item. Dropping the returned stream closes the
/// connection.
pub(crate) fn resubscribing<T, S, O, F>(
    stream: S,
    open: O,
) -> impl Stream<Item = Result<T, Problem>> + Send + Unpin + 'static
where
    T: Send + 'static,
    S: Stream<Item = Result<T, Problem>> + Send + Unpin + 'static,
    O: Fn() -> F + Send + 'static,
    F: Future<Output = Result<S, Problem>> + Send,
{
    // Bounded: a slow reader blocks the replica instead of filling this machine's memory.
    let (news, reader) = mpsc::channel(1);
    task::spawn("resubscribe", async move {
        let gone = news.clone();
        tokio::select! {
            () = gone.closed() => {}
            () = follow(stream, open, news) => {}
        }
    });
    ReceiverStream::new(reader)
}

async fn follow<T, S, O, F>(mut stream: S, open: O, news: mpsc::Sender<Result<T, Problem>>)
where
    S: Stream<Item = Result<T, Problem>> + Unpin,
    O: Fn() -> F,
    F: Future<Output = Result<S, Problem>>,
{
    let mut retry = Retry::forever();
    loop {
        while let Some(item) = stream.next().await {
            match item {
                Err(problem) if problem.code == ErrorCode::Unavailable => break,
                item => {
                    retry = Retry::forever();
                    let ended = item.is_err();
                    if news.send(item).await.is_err() || ended {
                        return;
                    }
                }
            }
        }
        stream = loop {
            let pause = retry.pause(Instant::now(), chance());
            tokio::time::sleep(pause.unwrap_or(crate::retry::PAUSE_MAX)).await;
            match open().await {
                Ok(stream) => break stream,
                Err(problem) if problem.code == ErrorCode::Unavailable => {}
                Err(problem) => {
                    // Fails only if the reader has gone.
                    let _ = news.send(Err(problem)).await;
                    return;
                }
            }
        };
    }
}
