//! Plans the rounds of a run. The planner predicts which files exist, so that operations name files
//! that probably exist; the model knows which really do.

use std::time::Duration;

use super::contents::Contents;
use super::plan::{
    By, Change, FOLDERS, Fault, FileAt, Operation, PlannedFault, PlannedOperation, Round, SPACES,
    Target,
};
use super::random::Random;

/// The size of a run, and the faults that are possible on its machine.
#[derive(Debug, Clone)]
pub struct Setting {
    pub peers: usize,
    pub directories: usize,
    /// Whether simulated machines have their own links.
    pub links: bool,
    /// Whether peers and the directory have their own disks.
    pub disks: bool,
    /// Whether clocks can be changed.
    pub clocks: bool,
    /// Whether the directory's database is a separate server.
    pub database: bool,
}

impl Setting {
    /// Returns the number of the guest account, which may only download.
    pub fn guest(&self) -> usize {
        self.peers
    }

    /// Returns the number of the account that publishes by REST.
    pub fn script(&self) -> usize {
        self.peers + 1
    }

    /// Returns the number of accounts.
    pub fn accounts(&self) -> usize {
        self.peers + 2
    }

    /// Returns the number of the queue for the administrator's operations.
    pub fn administration(&self) -> usize {
        self.peers + 2
    }

    /// Returns the account of a queue.
    pub fn account_of(&self, queue: usize) -> usize {
        if queue == self.administration() {
            0
        } else {
            queue
        }
    }
}

/// The maximum number of bytes in a peer's folders, so that its disk is never full without a fault.
const BYTES_MAX: u64 = 14 << 20;
/// The range of pauses between two operations of one account, in milliseconds.
const PAUSES: (u64, u64) = (700, 3_200);
/// The range of pauses between two faults, in milliseconds.
const FAULT_PAUSES: (u64, u64) = (1_200, 5_000);
/// The range of the durations of faults, in milliseconds.
const FAULT_LENGTHS: (u64, u64) = (1_500, 12_000);

/// Plans the rounds of a run.
pub struct Planner {
    random: Random,
    setting: Setting,
    files: Vec<(FileAt, u64)>,
    numbers: u64,
    guests: u64,
}

impl Planner {
    /// Creates a planner with the seed `seed`.
    pub fn new(seed: u64, setting: Setting) -> Self {
        Self {
            random: Random::new(seed),
            setting,
            files: Vec::new(),
            numbers: 0,
            guests: 0,
        }
    }

    /// Returns the initial files: some in every folder.
    pub fn first_files(&mut self) -> Vec<(FileAt, Contents)> {
        let mut all = Vec::new();
        for peer in 0..self.setting.peers {
            for folder in FOLDERS {
                for _ in 0..2 {
                    all.push(self.new_file(peer, folder));
                }
            }
        }
        all
    }

    /// Plans the next round; its last fault ends after at most `length`.
    pub fn round(&mut self, length: Duration) -> Round {
        let total = length.as_millis() as u64;
        let queues = self.setting.accounts() + 1;
        let mut clocks: Vec<u64> = (0..queues).map(|_| self.random.between(0, 2_000)).collect();
        let mut operations = vec![Vec::new(); queues];
        // In chronological order, so that a file is planned before it is used.
        loop {
            let next = (0..queues).min_by_key(|queue| clocks[*queue]).unwrap_or(0);
            if clocks[next] >= total {
                break;
            }
            let at = Duration::from_millis(clocks[next]);
            clocks[next] += self.random.between(PAUSES.0, PAUSES.1);
            if let Some(operation) = self.operation(next) {
                operations[next].push(PlannedOperation { at, operation });
            }
        }
        Round {
            operations,
            faults: self.faults(total),
        }
    }

    fn operation(&mut self, queue: usize) -> Option<Operation> {
        if queue == self.setting.administration() {
            return self.administration();
        }
        if queue == self.setting.script() {
            let (new, gone) = (self.random.between(1, 6), self.random.between(0, 3));
            return Some(Operation::Publish(new, gone));
        }
        if queue < self.setting.peers && self.random.chance(55) {
            self.own(queue)
        } else {
            self.fetching(queue)
        }
    }

    /// Plans a change of a peer's shared files.
    fn own(&mut self, peer: usize) -> Option<Operation> {
        let own: Vec<usize> = (0..self.files.len())
            .filter(|at| self.files[*at].0.peer == peer)
            .collect();
        let bytes: u64 = own.iter().map(|at| self.files[*at].1).sum();
        let kinds = [
            (30, 'w'),
            (28, 'c'),
            (12, 'n'),
            (10, 'r'),
            (12, 's'),
            (8, 'u'),
        ];
        let kind = if bytes > BYTES_MAX {
            'r'
        } else {
            self.random.weighted(&kinds)?
        };
        let picked = self.random.pick(&own).copied();
        Some(match (kind, picked) {
            ('s', _) => {
                let spaces = [None, Some(SPACES[0]), Some(SPACES[1])];
                Operation::Share(*self.random.pick(&spaces)?)
            }
            ('u', _) => Operation::Unshare,
            ('c', Some(at)) => {
                let contents = self.contents();
                self.files[at].1 = contents.len;
                let ways = [Change::InPlace, Change::Replace, Change::Rewrite];
                let change = *self.random.pick(&ways)?;
                Operation::Modify(self.files[at].0.clone(), contents, change)
            }
            ('n', Some(at)) => {
                let old = self.files[at].0.clone();
                let name = self.name();
                self.files[at].0.name.clone_from(&name);
                Operation::Rename(old, name)
            }
            ('r', Some(at)) => Operation::Remove(self.files.swap_remove(at).0),
            _ => {
                let folder = *self.random.pick(&FOLDERS)?;
                let (file, contents) = self.new_file(peer, folder);
                Operation::Write(file, contents)
            }
        })
    }

    /// Plans an operation on files that others share.
    fn fetching(&mut self, account: usize) -> Option<Operation> {
        let mut file = self.random.pick(&self.files)?.0.clone();
        if file.folder != FOLDERS[0] && self.random.chance(50) {
            // Files for everyone are visible to more accounts.
            let open = self
                .files
                .iter()
                .filter(|(file, _)| file.folder == FOLDERS[0]);
            let open: Vec<FileAt> = open.map(|(file, _)| file.clone()).collect();
            file = self.random.pick(&open).cloned().unwrap_or(file);
        }
        let is_guest = account == self.setting.guest();
        let kinds = [
            (36, 'g'),
            (if is_guest { 0 } else { 12 }, 'p'),
            (if is_guest { 0 } else { 12 }, 'l'),
            (if is_guest { 0 } else { 8 }, 'k'),
            (14, 's'),
            (10, 'i'),
            (8, 'm'),
        ];
        let kill = if self.random.chance(30) {
            Some(Duration::from_millis(self.random.between(30, 1_500)))
        } else {
            None
        };
        let peer = self.random.index(self.setting.peers);
        Some(match self.random.weighted(&kinds)? {
            'g' => {
                let by = if self.random.chance(50) {
                    By::Name
                } else {
                    By::Hash
                };
                Operation::Get(file, by, kill)
            }
            'p' => {
                let mut contents = self.contents();
                contents.len = contents.len.min(600_000);
                Operation::Put(peer, contents, kill)
            }
            'l' => Operation::Load(file, peer),
            'k' => Operation::Link(file),
            's' => Operation::Search(file),
            'i' => Operation::List,
            _ => Operation::Misuse(file),
        })
    }

    fn administration(&mut self) -> Option<Operation> {
        let space = *self.random.pick(&SPACES)?;
        // The administrator's memberships do not change; those of other accounts do.
        let account = self.random.between(1, self.setting.peers as u64 + 1) as usize;
        Some(
            match self.random.weighted(&[(15, 'i'), (45, 'a'), (40, 'e')])? {
                'i' => {
                    self.guests += 1;
                    Operation::Invite(format!("newcomer{}", self.guests))
                }
                'a' => Operation::AddMember(space, account),
                _ => Operation::RemoveMember(space, account),
            },
        )
    }

    fn new_file(&mut self, peer: usize, folder: &'static str) -> (FileAt, Contents) {
        let contents = self.contents();
        let name = self.name();
        let file = FileAt { peer, folder, name };
        self.files.push((file.clone(), contents.len));
        (file, contents)
    }

    /// Returns a file name with a unique first word.
    fn name(&mut self) -> String {
        self.numbers += 1;
        let endings = ["txt", "bin", "pdf", "jpg"];
        let ending = self.random.pick(&endings).copied().unwrap_or("bin");
        format!("doc{:05} of chaos.{ending}", self.numbers)
    }

    fn contents(&mut self) -> Contents {
        let sizes = [
            (55, (0, 20_000)),
            (33, (20_000, 600_000)),
            (12, (600_000, 5_000_000)),
        ];
        let (from, to) = self.random.weighted(&sizes).unwrap_or((0, 20_000));
        // A minimum length avoids equal contents by chance; a few files are empty on purpose.
        let len = if self.random.chance(2) {
            0
        } else {
            self.random.between(from.max(16), to)
        };
        Contents {
            seed: self.random.bits(),
            len,
            damage: 0,
        }
    }

    /// Plans faults for `total` milliseconds. No two of them affect one target at the same time.
    fn faults(&mut self, total: u64) -> Vec<PlannedFault> {
        let mut busy: Vec<(Target, u64)> = Vec::new();
        let mut all = Vec::new();
        let mut now = self.random.between(500, 2_000);
        while now + FAULT_LENGTHS.0 < total {
            let length = self.random.between(FAULT_LENGTHS.0, FAULT_LENGTHS.1);
            let until = (now + length).min(total);
            if let Some((fault, targets)) = self.fault() {
                let is_free = |target: &Target| {
                    let of_target = busy.iter().filter(|(other, _)| other == target);
                    of_target.map(|(_, until)| *until).max().unwrap_or(0) < now
                };
                if targets.iter().all(is_free) {
                    busy.extend(targets.iter().map(|target| (*target, until + 500)));
                    all.push(PlannedFault {
                        from: Duration::from_millis(now),
                        until: Duration::from_millis(until),
                        fault,
                    });
                }
            }
            now += self.random.between(FAULT_PAUSES.0, FAULT_PAUSES.1);
        }
        all
    }

    /// Plans a fault. Returns it with its targets.
    fn fault(&mut self) -> Option<(Fault, Vec<Target>)> {
        let setting = self.setting.clone();
        let peer = self.random.index(setting.peers);
        let directory = Target::Directory(self.random.index(setting.directories));
        let target = if self.random.chance(25) {
            directory
        } else {
            Target::Peer(peer)
        };
        let if_any = |is: bool, weight: u64| if is { weight } else { 0 };
        let kinds = [
            (22, 'k'),
            (8, 't'),
            (12, 'z'),
            (8, 'x'),
            (6, 'c'),
            (if_any(setting.disks, 12), 'f'),
            (if_any(setting.disks, 10), 'u'),
            (if_any(setting.clocks, 12), 'j'),
            (if_any(setting.links, 10), 'd'),
            (if_any(setting.links, 8), 's'),
            (if_any(setting.database, 8), 'b'),
        ];
        let number = self.random.bits();
        let fault = match self.random.weighted(&kinds)? {
            'k' => Fault::Kill(target),
            't' => Fault::Restart(target),
            'z' => Fault::Freeze(target),
            'x' => Fault::Corrupt(peer, number),
            'c' => Fault::CorruptCache(peer, number),
            'f' => Fault::FillDisk(target),
            // The other peers have their homes on their disks too.
            'u' if peer % 2 == 1 => Fault::Unmount(peer),
            'u' => return None,
            'j' => {
                let jumps = [
                    400 * 86_400,
                    2 * 86_400,
                    720,
                    -720,
                    -2 * 86_400,
                    -400 * 86_400,
                ];
                Fault::Clock(target, *self.random.pick(&jumps)?)
            }
            'd' => Fault::Cut(target),
            's' => Fault::Slow(target),
            _ => {
                let all = (0..setting.directories).map(Target::Directory);
                return Some((Fault::Database, all.collect()));
            }
        };
        let hit = match fault {
            Fault::Corrupt(peer, _) | Fault::CorruptCache(peer, _) | Fault::Unmount(peer) => {
                Target::Peer(peer)
            }
            _ => target,
        };
        Some((fault, vec![hit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> Setting {
        Setting {
            peers: 8,
            directories: 2,
            links: true,
            disks: true,
            clocks: true,
            database: true,
        }
    }

    #[test]
    fn a_seed_gives_the_same_rounds() {
        let rounds = |seed| {
            let mut planner = Planner::new(seed, setting());
            let files = planner.first_files();
            let rounds: Vec<Round> = (0..3)
                .map(|_| planner.round(Duration::from_secs(40)))
                .collect();
            (files, rounds)
        };
        assert_eq!(rounds(5), rounds(5));
        assert_ne!(rounds(5), rounds(6));
    }

    #[test]
    fn every_kind_of_operation_and_fault_is_planned_and_no_target_is_hit_twice_at_once() {
        let mut planner = Planner::new(1, setting());
        planner.first_files();
        let (mut operations, mut faults) = (Vec::new(), Vec::new());
        for _ in 0..12 {
            let round = planner.round(Duration::from_secs(60));
            operations.extend(round.operations.into_iter().flatten());
            let kills =
                |planned: &&PlannedFault| matches!(planned.fault, Fault::Kill(Target::Peer(3)));
            let mut last = Duration::ZERO;
            for kill in round.faults.iter().filter(kills) {
                assert!(kill.from >= last);
                last = kill.until;
            }
            faults.extend(round.faults);
        }
        let mut kinds: Vec<_> = operations.iter().map(|due| due.operation.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), 18, "{kinds:?}");
        let mut kinds: Vec<_> = faults.iter().map(|planned| planned.fault.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), 12, "{kinds:?}");
    }

    #[test]
    fn unsupported_faults_are_not_planned() {
        let setting = Setting {
            links: false,
            disks: false,
            clocks: false,
            database: false,
            ..setting()
        };
        let mut planner = Planner::new(1, setting);
        for _ in 0..20 {
            for planned in planner.round(Duration::from_secs(60)).faults {
                let kind = planned.fault.kind();
                let none = [
                    "full disk",
                    "unmount",
                    "clock",
                    "cut link",
                    "slow link",
                    "database",
                ];
                assert!(!none.contains(&kind), "{kind}");
            }
        }
    }
}
