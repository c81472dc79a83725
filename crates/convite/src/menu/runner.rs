//! What does the effects, and brings what happens to the model: tasks, timers, the terminal.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use convite_client::{Home, Query};
use convite_core::model::PeerSummary;
use convite_core::{ContentHash, ErrorCode, PeerId, Problem};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::downloads::{Downloads, Wanted};
use super::entrance::{Entrance, Given, Session};
use super::memory;
use super::message::{Effect, Message};
use super::model::{Level, Model, Screen};
use super::terminal::{self, Input, Terminal};
use super::update::{begin_outside, update};
use super::uploads;
use crate::logging;

/// How often bars move.
pub const TICK: Duration = Duration::from_millis(250);
/// Every so many ticks the peer is looked at,
const STATUS: u64 = 4;
/// and the list of peers, while it is in sight.
const PEERS: u64 = 20;
/// Typing has paused when nothing was typed for so long.
const PAUSE: Duration = Duration::from_millis(120);
/// How many results, and how many files and peers, are asked for at once.
const RESULTS: u32 = 50;
const FILES: u32 = 1_000;
/// How many loads on other peers are looked at.
const LOADS: u32 = 100;
/// The most peers that are listed.
const PEERS_MAX: usize = 5_000;

/// Runs a menu to its end.
pub struct Runner {
    pub home: Home,
    pub entrance: Entrance,
    pub session: Option<Session>,
    messages: mpsc::UnboundedSender<Message>,
    came: mpsc::UnboundedReceiver<Message>,
    entering: JoinSet<Result<Session, Problem>>,
    searching: Option<AbortHandle>,
    downloads: Downloads,
    /// Ends the uploads.
    uploads: CancellationToken,
    began: Instant,
    ticks: u64,
}

/// Whether the menu goes on.
enum Next {
    Goes,
    Ends,
}

impl Runner {
    pub fn new(home: Home, entrance: Entrance, session: Option<Session>) -> Self {
        let (messages, came) = mpsc::unbounded_channel();
        Self {
            home,
            entrance,
            session,
            messages,
            came,
            entering: JoinSet::new(),
            searching: None,
            downloads: Downloads::default(),
            uploads: CancellationToken::new(),
            began: Instant::now(),
            ticks: 0,
        }
    }

    /// Until the user leaves, or `stop` is cancelled. The peer is stopped then, and what was
    /// fetched is kept.
    ///
    /// # Errors
    /// If the terminal fails, or the peer of a home that is in a session cannot start.
    pub async fn run(mut self, mut model: Model, stop: CancellationToken) -> Result<(), Problem> {
        let mut screen = Terminal::take()?;
        let held = logging::hold();
        let mut inputs = terminal::read();
        let ran = self.turn(&mut model, &mut screen, &mut inputs, &stop).await;
        if ran.is_ok() {
            model.leaving = true;
            // The terminal may be gone: that is why it ends.
            let _ = screen.draw(&model);
        }
        stop.cancel();
        self.uploads.cancel();
        self.downloads.end().await;
        self.entering.abort_all();
        let ended = match self.session {
            Some(session) => session.peer.finished().await,
            None => Ok(()),
        };
        drop(screen);
        drop(held);
        ran.and(ended)
    }

    async fn turn(
        &mut self,
        model: &mut Model,
        screen: &mut Terminal,
        inputs: &mut mpsc::Receiver<Input>,
        stop: &CancellationToken,
    ) -> Result<(), Problem> {
        let must_start = self.begin(model);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut hangup = hangup();
        let mut effects = Vec::new();
        loop {
            screen.draw(model)?;
            let message = tokio::select! {
                input = inputs.recv() => match input {
                    Some(Input::Key(key)) => Message::Key(key),
                    Some(Input::Pasted(text)) => Message::Pasted(text),
                    Some(Input::Resized) => continue,
                    None => Message::Stop,
                },
                Some(message) = self.came.recv() => message,
                Some(entered) = self.entering.join_next() => match self.entered(entered) {
                    Err(problem) if must_start && model.welcome.is_none() => {
                        if !is_about_session(&problem) {
                            return Err(problem);
                        }
                        begin_outside(model, false, &model.identity.user.clone());
                        continue;
                    }
                    entered => Message::Entered(entered),
                },
                (id, state) = self.downloads.next() => Message::Ended(id, state),
                _ = ticks.tick() => {
                    self.look(model);
                    Message::Tick(self.began.elapsed())
                }
                () = stop.cancelled() => Message::Stop,
                () = &mut hangup => Message::Stop,
            };
            effects.extend(update(model, message));
            // What came meanwhile is drawn at once.
            while let Ok(message) = self.came.try_recv() {
                effects.extend(update(model, message));
            }
            for effect in effects.drain(..) {
                if let Next::Ends = self.perform(effect, screen).await? {
                    return Ok(());
                }
            }
        }
    }

    /// Begins what the home is ready for. Whether its peer must start.
    fn begin(&mut self, model: &mut Model) -> bool {
        if let Some(session) = &self.session {
            model.identity = session.identity.clone();
            self.say(Message::Entered(Ok(session.identity.clone())));
            return false;
        }
        if model.welcome.is_none() {
            self.entering.spawn(self.entrance.clone().resume());
        }
        model.welcome.is_none()
    }

    fn say(&self, message: Message) {
        // Nobody listens at the very end.
        let _ = self.messages.send(message);
    }

    fn entered(
        &mut self,
        entered: Result<Result<Session, Problem>, tokio::task::JoinError>,
    ) -> Result<super::model::Identity, Problem> {
        let entered = entered
            .map_err(|_| Problem::new(ErrorCode::Internal, "coming in failed: see the activity"))?;
        let session = entered?;
        let identity = session.identity.clone();
        self.session = Some(session);
        Ok(identity)
    }

    /// Looks at what moves by itself.
    fn look(&mut self, model: &Model) {
        self.ticks += 1;
        for (id, progress) in self.downloads.moved() {
            self.say(Message::Progress(id, progress));
        }
        let lines = logging::held();
        if !lines.is_empty() {
            self.say(Message::Logged(lines));
        }
        let Some(session) = &self.session else {
            return;
        };
        if self.ticks % STATUS == 1 {
            self.say(Message::Status(Box::new(session.peer.status())));
        }
        let sees_loads = model.screen == Screen::Transfers || model.loads.open() > 0;
        if self.ticks.is_multiple_of(STATUS) && sees_loads {
            self.list_loads();
        }
        if session.peer.is_stopping() {
            // `convite leave`, from elsewhere.
            self.say(Message::Stop);
        }
        let sees_peers = model.screen == Screen::Network && model.network.level() == Level::Peers;
        // One that was silent is asked until it answers, wherever one looks.
        if self.ticks.is_multiple_of(PEERS) && (sees_peers || model.is_cut_off()) {
            self.list_peers();
        }
    }

    async fn perform(&mut self, effect: Effect, screen: &mut Terminal) -> Result<Next, Problem> {
        match effect {
            Effect::Search {
                ticket,
                words,
                kind,
                cursor,
            } => self.search(
                ticket,
                Query {
                    words,
                    file_type: kind.map(|kind| kind.name().to_owned()),
                    limit: RESULTS,
                    cursor,
                    ..Query::default()
                },
            ),
            Effect::ListPeers => self.list_peers(),
            Effect::ListFiles {
                ticket,
                peer,
                cursor,
            } => {
                if let Some(session) = &self.session {
                    let (client, say) = (session.common.client.clone(), self.messages.clone());
                    tokio::spawn(async move {
                        let answer = client.list_index(Some(&peer), FILES, cursor).await;
                        let _ = say.send(Message::Files { ticket, answer });
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
                    let wanted = Wanted { hash, name, folder };
                    self.downloads.begin(id, session.common.clone(), wanted);
                }
            }
            Effect::Load { peer, hash, name } => self.load(peer, hash, name),
            Effect::ListLoads => self.list_loads(),
            Effect::Put { id, peer, file } => {
                if let Some(session) = &self.session {
                    let (common, say) = (session.common.clone(), self.messages.clone());
                    let what = (peer, PathBuf::from(file));
                    uploads::begin(id, common, what, say, self.uploads.clone());
                }
            }
            Effect::Pause(id) => self.downloads.pause(id, true),
            Effect::Resume(id) => self.downloads.pause(id, false),
            Effect::Cancel(id) => self.downloads.cancel(id),
            Effect::Share(path) => self.share(PathBuf::from(path)),
            Effect::Unshare(folder) => self.unshare(folder.into()),
            Effect::Enter {
                link,
                user,
                password,
            } => {
                let entrance = self.entrance.clone();
                let given = Given {
                    link,
                    user,
                    password,
                };
                self.entering.spawn(entrance.enter(given));
            }
            Effect::Remember(kept) => memory::keep(&self.home, kept).await,
            Effect::Suspend => screen.suspend()?,
            Effect::Redraw => screen.forget()?,
            Effect::Quit => return Ok(Next::Ends),
        }
        Ok(Next::Goes)
    }

    /// Asks once typing has paused; what was asked before is not waited for any more.
    fn search(&mut self, ticket: u64, query: Query) {
        if let Some(before) = self.searching.take() {
            before.abort();
        }
        let Some(session) = &self.session else {
            return;
        };
        let (client, say) = (session.common.client.clone(), self.messages.clone());
        let task = tokio::spawn(async move {
            let more = query.cursor.is_some();
            if !more {
                tokio::time::sleep(PAUSE).await;
            }
            let answer = client.search(query).await;
            let _ = say.send(Message::Found {
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
        let (client, say) = (session.common.client.clone(), self.messages.clone());
        tokio::spawn(async move {
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
            let _ = say.send(Message::Peers(answer));
        });
    }

    fn load(&self, peer: PeerId, hash: ContentHash, name: String) {
        let Some(session) = &self.session else {
            return;
        };
        let (client, say) = (session.common.client.clone(), self.messages.clone());
        tokio::spawn(async move {
            let asked = client.load_file(&peer, &hash).await;
            let told = asked.map(|_| format!("{peer} loads {name} (3 shows how it goes)"));
            let _ = say.send(Message::Asked(told));
        });
    }

    /// Loads that cannot be had stay as they were: they are looked at again soon.
    fn list_loads(&self) {
        let Some(session) = &self.session else {
            return;
        };
        let (client, say) = (session.common.client.clone(), self.messages.clone());
        tokio::spawn(async move {
            if let Ok(page) = client.loads(LOADS, None).await {
                let _ = say.send(Message::Loads(page.items));
            }
        });
    }

    fn share(&self, path: PathBuf) {
        let Some(session) = &self.session else {
            return;
        };
        let (state, say) = (session.peer.state().clone(), self.messages.clone());
        tokio::task::spawn_blocking(move || {
            // Asked for again, a folder keeps its space: no key may show it to everyone.
            let root = dunce::canonicalize(&path).unwrap_or_else(|_| path.clone());
            let shares = state.shares();
            let known = shares.iter().find(|share| *share.root == *root);
            let space = known.and_then(|share| share.space.as_deref().cloned());
            let shared = state.share(&path, space);
            let told = shared.map(|share| format!("sharing {} as {}", share.folder, share.name));
            let _ = say.send(Message::Shared(told));
            let _ = say.send(Message::Status(Box::new(state.status())));
        });
    }

    fn unshare(&self, folder: PathBuf) {
        let Some(session) = &self.session else {
            return;
        };
        let (state, say) = (session.peer.state().clone(), self.messages.clone());
        tokio::task::spawn_blocking(move || {
            let told = state.unshare(&folder);
            let told = told.map(|()| format!("{} is not shared any more", folder.display()));
            let _ = say.send(Message::Shared(told));
            let _ = say.send(Message::Status(Box::new(state.status())));
        });
    }
}

fn is_about_session(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ErrorCode::Unauthenticated | ErrorCode::SessionExpired
    )
}

/// Ends when the terminal hangs up.
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
