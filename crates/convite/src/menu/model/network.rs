//! What is there: the peers online, and of one of them the folders and files.

use std::collections::BTreeMap;

use convite_core::model::{FileEntry, IndexEntry, Page, PeerSummary};
use convite_core::{PeerId, Problem};

use super::Selection;

/// Files of one peer that are held; beyond, searching is the way.
const FILES: usize = 20_000;

/// A row inside a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A folder, and what is in it at any depth.
    Folder {
        name: String,
        files: usize,
        bytes: u64,
    },
    /// By its place in [`Network::files`].
    File(usize),
}

/// How deep one has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Peers,
    Files,
}

/// The network screen.
#[derive(Debug, Default)]
pub struct Network {
    pub peers: Vec<PeerSummary>,
    /// Whether the peers have been heard of at all.
    pub known: bool,
    pub chosen_peer: Selection,
    /// The peer that is looked into.
    pub inside: Option<PeerId>,
    /// Its files, as far as they have come, in the order of their paths.
    pub files: Vec<FileEntry>,
    /// There are more than are held.
    pub cut: bool,
    /// The folder that is looked into, its parts.
    pub folder: Vec<String>,
    pub rows: Vec<Row>,
    pub chosen: Selection,
    pub problem: Option<Problem>,
    /// The number of the question for files whose answer is awaited.
    pub awaited: Option<u64>,
}

impl Network {
    pub fn level(&self) -> Level {
        match self.inside {
            None => Level::Peers,
            Some(_) => Level::Files,
        }
    }

    /// Takes the list of peers; the chosen one stays chosen.
    pub fn take_peers(&mut self, answer: Result<Vec<PeerSummary>, Problem>) {
        match answer {
            Ok(peers) => {
                let chosen = self.peer().map(|peer| peer.id.clone());
                self.peers = peers;
                self.known = true;
                self.problem = None;
                let place = self
                    .peers
                    .iter()
                    .position(|p| Some(&p.id) == chosen.as_ref());
                if let Some(place) = place {
                    self.chosen_peer.choose(place, self.peers.len());
                }
            }
            Err(problem) => self.problem = Some(problem),
        }
        self.chosen_peer.clamp(self.peers.len());
    }

    pub fn peer(&self) -> Option<&PeerSummary> {
        self.peers.get(self.chosen_peer.at())
    }

    /// Goes into a peer, whose files are asked for under `ticket`.
    pub fn enter(&mut self, peer: PeerId, ticket: u64) {
        self.inside = Some(peer);
        self.files.clear();
        self.folder.clear();
        self.rows.clear();
        self.cut = false;
        self.problem = None;
        self.chosen = Selection::default();
        self.awaited = Some(ticket);
    }

    /// Takes a page of files; where the next one begins, if it is wanted.
    pub fn take_files(
        &mut self,
        ticket: u64,
        answer: Result<Page<IndexEntry>, Problem>,
    ) -> Option<String> {
        if self.awaited != Some(ticket) {
            return None;
        }
        match answer {
            Ok(page) => {
                self.files
                    .extend(page.items.into_iter().map(|entry| entry.file));
                self.files.sort_by(|a, b| a.path.cmp(&b.path));
                let next = page.next_cursor;
                self.cut = next.is_some() && self.files.len() >= FILES;
                let next = next.filter(|_| !self.cut);
                if next.is_none() {
                    self.awaited = None;
                }
                self.list();
                next
            }
            Err(problem) => {
                self.problem = Some(problem);
                self.awaited = None;
                None
            }
        }
    }

    /// Lists the folder that is looked into; what is chosen stays so if it is still there.
    fn list(&mut self) {
        let chosen = self.rows.get(self.chosen.at()).map(|row| self.name(row));
        let depth = self.folder.len();
        let mut folders: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
        let mut files = Vec::new();
        for (place, file) in self.files.iter().enumerate() {
            let mut parts = file.path.parts();
            if !self.folder.iter().all(|part| parts.next() == Some(part)) {
                continue;
            }
            let Some(name) = parts.next() else {
                continue;
            };
            if parts.next().is_some() {
                let folder = folders.entry(name).or_default();
                folder.0 += 1;
                folder.1 = folder.1.saturating_add(file.size);
            } else {
                files.push(Row::File(place));
            }
        }
        debug_assert!(depth == self.folder.len());
        let folders = folders
            .into_iter()
            .map(|(name, (files, bytes))| Row::Folder {
                name: name.to_owned(),
                files,
                bytes,
            });
        self.rows = folders.chain(files).collect();
        if let Some(chosen) = chosen {
            self.choose(&chosen);
        }
        self.chosen.clamp(self.rows.len());
    }

    fn choose(&mut self, name: &str) {
        if let Some(place) = self.rows.iter().position(|row| self.name(row) == name) {
            self.chosen.choose(place, self.rows.len());
        }
    }

    fn name(&self, row: &Row) -> String {
        match row {
            Row::Folder { name, .. } => name.clone(),
            Row::File(place) => self
                .files
                .get(*place)
                .map(|file| file.path.file_name().to_owned())
                .unwrap_or_default(),
        }
    }

    /// Goes into the chosen folder; the chosen file, if it is one.
    pub fn open(&mut self) -> Option<FileEntry> {
        match self.rows.get(self.chosen.at())? {
            Row::Folder { name, .. } => {
                self.folder.push(name.clone());
                self.rows.clear();
                self.chosen = Selection::default();
                self.list();
                None
            }
            Row::File(place) => self.files.get(*place).cloned(),
        }
    }

    /// The chosen file.
    pub fn file(&self) -> Option<&FileEntry> {
        match self.rows.get(self.chosen.at())? {
            Row::Folder { .. } => None,
            Row::File(place) => self.files.get(*place),
        }
    }

    /// Goes out of the folder, or out of the peer.
    pub fn leave(&mut self) {
        match self.folder.pop() {
            Some(name) => {
                self.rows.clear();
                self.chosen = Selection::default();
                self.list();
                self.choose(&name);
            }
            None => {
                self.inside = None;
                self.awaited = None;
                self.problem = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::ContentHash;

    fn entry(path: &str, size: u64) -> IndexEntry {
        IndexEntry {
            peer: "ana".parse().unwrap(),
            file: FileEntry {
                path: path.parse().unwrap(),
                size,
                hash: ContentHash::of(path.as_bytes()),
                modified: 0,
                space: None,
            },
        }
    }

    #[test]
    fn folders_are_walked_in_and_out_of() {
        let mut network = Network::default();
        network.enter("ana".parse().unwrap(), 7);
        let page = |paths: &[&str], next: Option<&str>| {
            Ok(Page {
                items: paths.iter().map(|path| entry(path, 5)).collect(),
                next_cursor: next.map(str::to_owned),
            })
        };
        let next = network.take_files(7, page(&["lab/b/2", "lab/a.txt"], Some("c")));
        assert_eq!(next.as_deref(), Some("c"));
        // An answer to a question of before.
        network.take_files(6, page(&["other/x"], None));
        assert_eq!(network.take_files(7, page(&["lab/b/1", "z"], None)), None);
        let folder = |name: &str, files| Row::Folder {
            name: name.to_owned(),
            files,
            bytes: files as u64 * 5,
        };
        assert_eq!(network.rows, [folder("lab", 3), Row::File(3)]);
        assert!(network.open().is_none());
        assert_eq!(network.rows, [folder("b", 2), Row::File(0)]);
        network.chosen.down(1, 2);
        assert_eq!(network.open().unwrap().path.as_str(), "lab/a.txt");
        network.chosen.up(1);
        assert!(network.open().is_none());
        assert_eq!(network.rows.len(), 2);
        network.leave();
        assert_eq!(network.chosen.at(), 0);
        network.leave();
        assert_eq!(network.level(), Level::Files);
        network.leave();
        assert_eq!(network.level(), Level::Peers);
    }
}
