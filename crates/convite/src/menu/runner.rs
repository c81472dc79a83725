//! The runner of the menu: performs effects and sends events to the model.
//!
//! Requests to the directory and transfers are tasks that send their results as messages; the
//! terminal is read by a thread. When the user quits or `stop` is cancelled, the runner stops the
//! transfers and the peer, then restores the terminal.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use convite_client::Home;
use convite_core::file_kind::FileType;
use convite_core::model::PeerSummary;
use convite_core::{ContentHash, EntryKind, ErrorCode, PeerId, Problem, SearchQuery};
use convite_net::task;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::downloads::{RequestedFile, RunningDownloads};
use super::message::{Effect, Message, TICK};
use super::model::{Model, NetworkList, Screen};
use super::saved_state;
use super::terminal::{self, Terminal, TerminalEvent};
use super::update::{show_login, update};
use super::uploads;
use crate::logging;
use crate::session::{AccountInfo, LoginData, RunningSession, SessionStart};

/// The number of ticks between updates of the peer's status.
const STATUS_TICKS: u64 = 4;
/// The number of ticks between updates of the list of peers, while it is visible.
const PEERS_TICKS: u64 = 20;
/// The pause in typing after which a search is sent.
const TYPING_PAUSE: Duration = Duration::from_millis(120);
/// The number of search results per page.
const RESULTS_PER_PAGE: u32 = 50;
/// The number of files per page.
const FILES_PER_PAGE: u32 = 1_000;
/// The maximum number of remote downloads shown.
const REMOTE_FETCHES_MAX: u32 = 100;
/// The maximum number of peers listed.
const PEERS_MAX: usize = 5_000;

/// The runner of one menu.
pub struct Runner {
    pub home: Home,
    pub start: SessionStart,
    pub session: Option<RunningSession>,
    messages: mpsc::UnboundedSender<Message>,
    incoming: mpsc::UnboundedReceiver<Message>,
    logins: JoinSet<Result<RunningSession, Problem>>,
    searching: Option<AbortHandle>,
    downloads: RunningDownloads,
    /// Cancels the uploads.
    uploads: CancellationToken,
    started_at: Instant,
    ticks: u64,
}

/// Whether the menu continues.
enum Flow {
    Continue,
    Quit,
}

impl Runner {
    pub fn new(home: Home, start: SessionStart, session: Option<RunningSession>) -> Self {
        let (messages, incoming) = mpsc::unbounded_channel();
        Self {
            home,
            start,
            session,
            messages,
            incoming,
            logins: JoinSet::new(),
            searching: None,
            downloads: RunningDownloads::default(),
            uploads: CancellationToken::new(),
            started_at: Instant::now(),
            ticks: 0,
        }
    }

    /// Runs until the user quits or `stop` is cancelled. Then stops the peer; downloaded parts are kept.
    ///
    /// # Errors
    /// Fails if the terminal cannot be used, or if the home has a session and its peer cannot start.
    pub async fn run(mut self, mut model: Model, stop: CancellationToken) -> Result<(), Problem> {
        let mut screen = Terminal::acquire()?;
        let held = logging::hold();
        let mut inputs = terminal::read();
        let ran = self
            .event_loop(&mut model, &mut screen, &mut inputs, &stop)
            .await;
        if ran.is_ok() {
            model.leaving = true;
            // The terminal may be gone.
            let _ = screen.draw(&model);
        }
        stop.cancel();
        self.uploads.cancel();
        self.downloads.shutdown().await;
        self.logins.abort_all();
        let ended = match self.session {
            Some(session) => session.peer.finished().await,
            None => Ok(()),
        };
        drop(screen);
        drop(held);
        ran.and(ended)
    }

    async fn event_loop(
        &mut self,
        model: &mut Model,
        screen: &mut Terminal,
        inputs: &mut mpsc::Receiver<TerminalEvent>,
        stop: &CancellationToken,
    ) -> Result<(), Problem> {
        let must_start = self.start_session(model);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut hangup = hangup();
        let mut effects = Vec::new();
        loop {
            screen.draw(model)?;
            let message = tokio::select! {
                input = inputs.recv() => match input {
                    Some(TerminalEvent::Key(key)) => Message::Key(key),
                    Some(TerminalEvent::Pasted(text)) => Message::Pasted(text),
                    Some(TerminalEvent::Resized) => continue,
                    None => Message::Stop,
                },
                Some(message) = self.incoming.recv() => message,
                Some(entered) = self.logins.join_next() => match self.logged_in(entered) {
                    Err(problem) if must_start && model.login.is_none() => {
                        if !is_about_session(&problem) {
                            return Err(problem);
                        }
                        show_login(model, false, &model.account.user.clone());
                        continue;
                    }
                    entered => Message::LoggedIn(entered),
                },
                (id, state) = self.downloads.next() => Message::Ended(id, state),
                _ = ticks.tick() => {
                    self.poll(model);
                    Message::Tick(self.started_at.elapsed())
                }
                () = stop.cancelled() => Message::Stop,
                () = &mut hangup => Message::Stop,
            };
            effects.extend(update(model, message));
            // Process all waiting messages before the next drawing.
            while let Ok(message) = self.incoming.try_recv() {
                effects.extend(update(model, message));
            }
            for effect in effects.drain(..) {
                if let Flow::Quit = self.perform(effect, screen).await? {
                    return Ok(());
                }
            }
        }
    }

    /// Starts the peer if the home has a session. Returns whether it must start.
    fn start_session(&mut self, model: &mut Model) -> bool {
        if let Some(session) = &self.session {
            model.account = session.account.clone();
            self.send(Message::LoggedIn(Ok(session.account.clone())));
            return false;
        }
        if model.login.is_none() {
            self.logins.spawn(self.start.clone().resume());
        }
        model.login.is_none()
    }

    fn send(&self, message: Message) {
        // The receiver is gone at shutdown.
        let _ = self.messages.send(message);
    }

    fn logged_in(
        &mut self,
        entered: Result<Result<RunningSession, Problem>, tokio::task::JoinError>,
    ) -> Result<AccountInfo, Problem> {
        let entered = entered
            .map_err(|_| Problem::new(ErrorCode::Internal, "login failed; see the activity log"))?;
        let session = entered?;
        let account = session.account.clone();
        self.session = Some(session);
        Ok(account)
    }

    /// Sends the progress, log lines and status of this tick to the model, and requests lists that are
    /// due.
    fn poll(&mut self, model: &Model) {
        self.ticks += 1;
        for (id, progress) in self.downloads.changed() {
            self.send(Message::Progress(id, progress));
        }
        let lines = logging::take_held();
        if !lines.is_empty() {
            self.send(Message::LogLines(lines));
        }
        let Some(session) = &self.session else {
            return;
        };
        if self.ticks % STATUS_TICKS == 1 {
            self.send(Message::Status(Box::new(session.peer.status())));
        }
        let sees_remote_fetches =
            model.screen == Screen::Transfers || model.remote_fetches.unfinished_count() > 0;
        if self.ticks.is_multiple_of(STATUS_TICKS) && sees_remote_fetches {
            self.list_remote_fetches();
        }
        if session.peer.is_stopping() {
            // Stopped by `convite leave`.
            self.send(Message::Stop);
        }
        let sees_peers =
            model.screen == Screen::Network && model.network.shown_list() == NetworkList::Peers;
        // If the directory did not answer, retry on every screen.
        if self.ticks.is_multiple_of(PEERS_TICKS)
            && (sees_peers || model.is_directory_unreachable())
        {
            self.list_peers();
        }
    }

    async fn perform(&mut self, effect: Effect, screen: &mut Terminal) -> Result<Flow, Problem> {
        match effect {
            Effect::Search {
                ticket,
                words,
                kind,
                cursor,
            } => self.search(
                ticket,
                SearchQuery {
                    // The screen shows and downloads files.
                    file_type: Some(kind.map_or(FileType::Entry(EntryKind::File), FileType::Kind)),
                    limit: Some(RESULTS_PER_PAGE),
                    cursor,
                    ..SearchQuery::for_words(words)
                },
            ),
            Effect::ListPeers => self.list_peers(),
            Effect::ListFiles {
                ticket,
                peer,
                cursor,
            } => {
                if let Some(session) = &self.session {
                    let (client, sender) = (session.context.client.clone(), self.messages.clone());
                    task::spawn("list files", async move {
                        let answer = client.list_index(Some(&peer), FILES_PER_PAGE, cursor).await;
                        let _ = sender.send(Message::Files { ticket, answer });
                    });
                }
            }
            Effect::Get {
                id,
                hash,
                name,
                folder,
            } => {
                if let Some(session) = &self.session {
                    let folder = PathBuf::from(folder);
                    let wanted = RequestedFile { hash, name, folder };
                    self.downloads.start(id, session.context.clone(), wanted);
                }
            }
            Effect::StartRemoteFetch { peer, hash, name } => {
                self.start_remote_fetch(peer, hash, name)
            }
            Effect::ListRemoteFetches => self.list_remote_fetches(),
            Effect::Upload { id, peer, file } => {
                if let Some(session) = &self.session {
                    let (context, sender) = (session.context.clone(), self.messages.clone());
                    let what = (peer, PathBuf::from(file));
                    uploads::start(id, context, what, sender, self.uploads.clone());
                }
            }
            Effect::Pause(id) => self.downloads.pause(id, true),
            Effect::Resume(id) => self.downloads.pause(id, false),
            Effect::Cancel(id) => self.downloads.cancel(id),
            Effect::Share(path) => self.share(PathBuf::from(path)),
            Effect::Unshare(folder) => self.unshare(folder.into()),
            Effect::Login {
                link,
                user,
                password,
            } => {
                let data = LoginData {
                    link,
                    user,
                    password,
                };
                self.logins.spawn(self.start.clone().login(data));
            }
            Effect::Save(kept) => saved_state::save(&self.home, kept).await,
            Effect::Suspend => screen.suspend()?,
            Effect::Redraw => screen.invalidate()?,
            Effect::Quit => return Ok(Flow::Quit),
        }
        Ok(Flow::Continue)
    }

    /// Sends the search after a pause in typing; the previous search is aborted.
    fn search(&mut self, ticket: u64, query: SearchQuery) {
        if let Some(before) = self.searching.take() {
            before.abort();
        }
        let Some(session) = &self.session else {
            return;
        };
        let (client, sender) = (session.context.client.clone(), self.messages.clone());
        let task = task::spawn("search", async move {
            let more = query.cursor.is_some();
            if !more {
                tokio::time::sleep(TYPING_PAUSE).await;
            }
            let answer = client.search(query).await;
            let _ = sender.send(Message::SearchResult {
                ticket,
                more,
                answer,
            });
        });
        self.searching = Some(task.abort_handle());
    }

    fn list_peers(&self) {
        let Some(session) = &self.session else {
            return;
        };
        let (client, sender) = (session.context.client.clone(), self.messages.clone());
        task::spawn("list peers", async move {
            let mut peers: Vec<PeerSummary> = Vec::new();
            let mut cursor = None;
            let answer = loop {
                let page = match client.peers(0, cursor).await {
                    Ok(page) => page,
                    Err(problem) => break Err(problem),
                };
                peers.extend(page.items);
                cursor = page.next_cursor;
                if cursor.is_none() || peers.len() >= PEERS_MAX {
                    break Ok(peers);
                }
            };
            let _ = sender.send(Message::Peers(answer));
        });
    }

    fn start_remote_fetch(&self, peer: PeerId, hash: ContentHash, name: String) {
        let Some(session) = &self.session else {
            return;
        };
        let (client, sender) = (session.context.client.clone(), self.messages.clone());
        task::spawn("load", async move {
            let asked = client.load_file(&peer, &hash, Some(&name)).await;
            let told = asked.map(|_| format!("{peer} downloads {name} (3 shows progress)"));
            let _ = sender.send(Message::RemoteFetchRequested(told));
        });
    }

    /// Requests the remote downloads. After a failure the list stays unchanged until the next request.
    fn list_remote_fetches(&self) {
        let Some(session) = &self.session else {
            return;
        };
        let (client, sender) = (session.context.client.clone(), self.messages.clone());
        task::spawn("list loads", async move {
            if let Ok(page) = client.loads(REMOTE_FETCHES_MAX, None).await {
                let _ = sender.send(Message::RemoteFetches(page.items));
            }
        });
    }

    fn share(&self, path: PathBuf) {
        let Some(session) = &self.session else {
            return;
        };
        let (state, sender) = (session.peer.state().clone(), self.messages.clone());
        task::start_blocking(move || {
            // A folder that is already shared keeps its space, so that no key shows it to everyone.
            let root = dunce::canonicalize(&path).unwrap_or_else(|_| path.clone());
            let shares = state.files.shares();
            let known = shares.iter().find(|share| *share.root == *root);
            let space = known.and_then(|share| share.space.as_deref().cloned());
            let shared = state.share(&path, space);
            let told = shared.map(|share| format!("sharing {} as {}", share.folder, share.name));
            let _ = sender.send(Message::ShareResult(told));
            let _ = sender.send(Message::Status(Box::new(state.status())));
        });
    }

    fn unshare(&self, folder: PathBuf) {
        let Some(session) = &self.session else {
            return;
        };
        let (state, sender) = (session.peer.state().clone(), self.messages.clone());
        task::start_blocking(move || {
            let told = state.files.unshare(&folder);
            let told = told.map(|()| format!("no longer sharing {}", folder.display()));
            let _ = sender.send(Message::ShareResult(told));
            let _ = sender.send(Message::Status(Box::new(state.status())));
        });
    }
}

fn is_about_session(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ErrorCode::Unauthenticated | ErrorCode::SessionExpired
    )
}

/// Completes when the terminal hangs up (SIGHUP).
fn hangup() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut hangup) = signal(SignalKind::hangup()) {
            return Box::pin(async move {
                hangup.recv().await;
            });
        }
    }
    Box::pin(std::future::pending())
}
