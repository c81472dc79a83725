//! The network screen: the peers online, and the folders and files of one peer.

use std::collections::BTreeMap;

use convite_core::model::{FileEntry, IndexEntry, Page, PeerSummary};
use convite_core::{PeerId, Problem};

use super::selection::Selection;

/// The maximum number of files listed of one peer; use the search for more.
const FILES_MAX: usize = 20_000;

/// A row in the list of a peer's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A folder, with its files and bytes at any depth.
    Folder {
        name: String,
        files: usize,
        bytes: u64,
    },
    /// A file, as an index into [`Network::files`].
    File(usize),
}

/// The displayed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkList {
    Peers,
    Files,
}

/// The state of the network screen.
#[derive(Debug, Default)]
pub struct Network {
    pub peers: Vec<PeerSummary>,
    /// Whether the list of peers was received at least once.
    pub is_loaded: bool,
    pub chosen_peer: Selection,
    /// The opened peer.
    pub open_peer: Option<PeerId>,
    /// The files of the opened peer received so far, sorted by path.
    pub files: Vec<FileEntry>,
    /// Whether the peer has more files than are listed.
    pub is_truncated: bool,
    /// The path components of the opened folder.
    pub folder: Vec<String>,
    pub rows: Vec<Row>,
    pub chosen: Selection,
    pub problem: Option<Problem>,
    /// The number of the pending request for files.
    pub pending: Option<u64>,
}

impl Network {
    pub fn shown_list(&self) -> NetworkList {
        match self.open_peer {
            None => NetworkList::Peers,
            Some(_) => NetworkList::Files,
        }
    }

    /// Sets the list of peers and keeps the selection.
    pub fn set_peers(&mut self, answer: Result<Vec<PeerSummary>, Problem>) {
        match answer {
            Ok(peers) => {
                let chosen = self.peer().map(|peer| peer.id.clone());
                self.peers = peers;
                self.is_loaded = true;
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

    /// Opens a peer, whose files are requested with the number `ticket`.
    pub fn enter(&mut self, peer: PeerId, ticket: u64) {
        self.open_peer = Some(peer);
        self.files.clear();
        self.folder.clear();
        self.rows.clear();
        self.is_truncated = false;
        self.problem = None;
        self.chosen = Selection::default();
        self.pending = Some(ticket);
    }

    /// Adds a page of files. Returns the cursor of the next page, if it is needed.
    pub fn add_files(
        &mut self,
        ticket: u64,
        answer: Result<Page<IndexEntry>, Problem>,
    ) -> Option<String> {
        if self.pending != Some(ticket) {
            return None;
        }
        match answer {
            Ok(page) => {
                // The folders of the screen follow from the paths of the files.
                let files = page.items.into_iter().map(|entry| entry.file);
                self.files.extend(files.filter(|file| file.kind.is_file()));
                self.files.sort_by(|a, b| a.path.cmp(&b.path));
                let next = page.next_cursor;
                self.is_truncated = next.is_some() && self.files.len() >= FILES_MAX;
                let next = next.filter(|_| !self.is_truncated);
                if next.is_none() {
                    self.pending = None;
                }
                self.list();
                next
            }
            Err(problem) => {
                self.problem = Some(problem);
                self.pending = None;
                None
            }
        }
    }

    /// Updates the rows of the opened folder and keeps the selection if that row still exists.
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

    /// Opens the selected folder, or returns the selected file.
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

    /// Returns the selected file.
    pub fn file(&self) -> Option<&FileEntry> {
        match self.rows.get(self.chosen.at())? {
            Row::Folder { .. } => None,
            Row::File(place) => self.files.get(*place),
        }
    }

    /// Returns to the parent folder, or to the list of peers.
    pub fn leave(&mut self) {
        match self.folder.pop() {
            Some(name) => {
                self.rows.clear();
                self.chosen = Selection::default();
                self.list();
                self.choose(&name);
            }
            None => {
                self.open_peer = None;
                self.pending = None;
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
            file: FileEntry::file(
                path.parse().unwrap(),
                size,
                ContentHash::of(path.as_bytes()),
            ),
        }
    }

    #[test]
    fn folders_are_opened_and_left() {
        let mut network = Network::default();
        network.enter("ana".parse().unwrap(), 7);
        let page = |paths: &[&str], next: Option<&str>| {
            Ok(Page {
                items: paths.iter().map(|path| entry(path, 5)).collect(),
                next_cursor: next.map(str::to_owned),
            })
        };
        let next = network.add_files(7, page(&["lab/b/2", "lab/a.txt"], Some("c")));
        assert_eq!(next.as_deref(), Some("c"));
        // An answer to an earlier request.
        network.add_files(6, page(&["other/x"], None));
        assert_eq!(network.add_files(7, page(&["lab/b/1", "z"], None)), None);
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
        assert_eq!(network.shown_list(), NetworkList::Files);
        network.leave();
        assert_eq!(network.shown_list(), NetworkList::Peers);
    }
}
