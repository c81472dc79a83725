//! A stream of news that outlives the replica that it came from.

use std::future::Future;
use std::time::Instant;

use convite_core::{ErrorCode, Problem};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};

use crate::retry::{Retry, chance};

/// Goes on where `stream` broke, with the one that `open` gives, until that is refused: the refusal
/// is the last item. Ends, and closes what is open, when its reader drops it.
pub(crate) fn lasting<T, S, O, F>(
    stream: S,
    open: O,
) -> impl Stream<Item = Result<T, Problem>> + Send + Unpin + 'static
where
    T: Send + 'static,
    S: Stream<Item = Result<T, Problem>> + Send + Unpin + 'static,
    O: Fn() -> F + Send + 'static,
    F: Future<Output = Result<S, Problem>> + Send,
{
    // Bounded: a slow reader holds up the replica, not this machine's memory.
    let (news, reader) = mpsc::channel(1);
    tokio::spawn(async move {
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
    let mut retry = Retry::for_ever();
    loop {
        while let Some(item) = stream.next().await {
            match item {
                Err(problem) if problem.code == ErrorCode::Unavailable => break,
                item => {
                    retry = Retry::for_ever();
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
                    // A reader that has gone needs no reason.
                    let _ = news.send(Err(problem)).await;
                    return;
                }
            }
        };
    }
}
