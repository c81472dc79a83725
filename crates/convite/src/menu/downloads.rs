//! The downloads that the menu has running, each a task that can be paused and given up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use convite_client::{DirectoryClient, Home};
use convite_core::model::LocatedFile;
use convite_core::{ContentHash, ErrorCode, Problem, Within};
use convite_peer::download::{
    Fetch, Fetched, Member, MemberConfig, Progress, Target, begin, numbered,
};
use convite_wire::invite::Fingerprint;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::model::{State, TransferId};

/// Finished downloads that go on providing until the menu ends.
const MEMBERS: usize = 8;
/// Names that are tried where the wanted one is taken.
const NUMBERS: u32 = 999;
/// What is being given up has so long to keep what it has.
const GRACE: Duration = Duration::from_secs(5);

/// What all downloads of a session have in common.
#[derive(Clone)]
pub struct Common {
    pub home: Home,
    pub client: DirectoryClient,
    pub authority: Option<Fingerprint>,
    pub member: MemberConfig,
}

/// What is wanted.
pub struct Wanted {
    pub hash: ContentHash,
    pub name: String,
    pub folder: PathBuf,
}

struct Running {
    cancel: CancellationToken,
    paused: watch::Sender<bool>,
    progress: watch::Receiver<Progress>,
}

/// All of them.
#[derive(Default)]
pub struct Downloads {
    running: BTreeMap<TransferId, Running>,
    tasks: JoinSet<(TransferId, State, Option<Member>)>,
    members: Vec<Member>,
}

impl Downloads {
    /// Begins one.
    pub fn begin(&mut self, id: TransferId, common: Common, wanted: Wanted) {
        let (progress, seen) = watch::channel(Progress::default());
        let (paused, heard) = watch::channel(false);
        let cancel = CancellationToken::new();
        let orders = Orders {
            cancel: cancel.clone(),
            paused: heard,
            progress,
        };
        self.tasks.spawn(async move {
            match download(common, wanted, orders).await {
                Ok(Some(mut fetched)) => (id, done(&fetched), fetched.member.take()),
                Ok(None) => (id, State::Stopped, None),
                Err(mut problem) => {
                    if problem
                        .hint
                        .as_ref()
                        .is_some_and(|hint| hint.contains("-o PATH"))
                    {
                        // There are no flags here.
                        problem.hint = Some("r has it go elsewhere".to_owned());
                    }
                    (id, State::Failed(problem), None)
                }
            }
        });
        self.running.insert(
            id,
            Running {
                cancel,
                paused,
                progress: seen,
            },
        );
    }

    pub fn pause(&self, id: TransferId, paused: bool) {
        if let Some(running) = self.running.get(&id) {
            running.paused.send_replace(paused);
        }
    }

    pub fn cancel(&self, id: TransferId) {
        if let Some(running) = self.running.get(&id) {
            running.cancel.cancel();
        }
    }

    /// How those stand that have moved since they were looked at last.
    pub fn moved(&mut self) -> Vec<(TransferId, Progress)> {
        let mut moved = Vec::new();
        for (id, running) in &mut self.running {
            if running.progress.has_changed().unwrap_or(false) {
                moved.push((*id, running.progress.borrow_and_update().clone()));
            }
        }
        moved
    }

    /// The next that is over; pending while there is none.
    pub async fn next(&mut self) -> (TransferId, State) {
        loop {
            match self.tasks.join_next().await {
                Some(Ok((id, state, member))) => {
                    self.running.remove(&id);
                    if let Some(member) = member {
                        self.members.push(member);
                    }
                    if self.members.len() > MEMBERS {
                        tokio::spawn(self.members.remove(0).leave());
                    }
                    return (id, state);
                }
                // A task that panicked has said so.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Gives all up, keeps what they have, and stops providing.
    pub async fn end(mut self) {
        for running in self.running.values() {
            running.cancel.cancel();
        }
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok((.., Some(member))) = ended {
                    self.members.push(member);
                }
            }
        };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("a download did not end in time");
        }
        let mut leaving = JoinSet::new();
        for member in self.members {
            leaving.spawn(member.leave());
        }
        leaving.join_all().await;
    }
}

fn done(fetched: &Fetched) -> State {
    State::Done {
        place: fetched.path.display().to_string(),
        took: fetched.took,
        providers: fetched.providers.len(),
        was_there: fetched.was_there,
    }
}

/// What a download is told, and where it tells how it stands.
struct Orders {
    cancel: CancellationToken,
    paused: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
}

/// Fetches under the first name that is free; none if it was given up.
async fn download(
    common: Common,
    wanted: Wanted,
    mut orders: Orders,
) -> Result<Option<Fetched>, Problem> {
    let file = tokio::select! {
        file = common.client.locate(&wanted.hash) => file?,
        () = orders.cancel.cancelled() => return Ok(None),
    };
    for number in 0..=NUMBERS {
        let path = numbered(&wanted.folder, &wanted.name, number);
        match to(&common, file.clone(), path, &mut orders).await {
            Err(problem) if problem.code == ErrorCode::FileExists && number < NUMBERS => {}
            ended => return ended,
        }
    }
    Ok(None)
}

async fn to(
    common: &Common,
    file: LocatedFile,
    path: PathBuf,
    orders: &mut Orders,
) -> Result<Option<Fetched>, Problem> {
    let (handle, download) = begin(Fetch {
        home: common.home.clone(),
        directory: common.client.clone(),
        authority: common.authority,
        file,
        within: Within::Seen,
        target: Target { path, force: false },
        locality: true,
        download_limit: None,
        member: Some(common.member.clone()),
    });
    if *orders.paused.borrow_and_update() {
        handle.pause();
    }
    let mut progress = handle.progress();
    let mut is_cancelled = false;
    tokio::pin!(download);
    loop {
        tokio::select! {
            ended = &mut download => return ended,
            () = orders.cancel.cancelled(), if !is_cancelled => {
                is_cancelled = true;
                handle.cancel();
            }
            Ok(()) = orders.paused.changed() => {
                if *orders.paused.borrow_and_update() {
                    handle.pause();
                } else {
                    handle.resume();
                }
            }
            Ok(()) = progress.changed() => {
                let now = progress.borrow_and_update().clone();
                orders.progress.send_replace(now);
            }
        }
    }
}
