//! Downloads of folders: packs of small files, parts of large files, and pieces without bytes.

use convite_core::{FolderPieces, PieceLayout};
use convite_swarm::DownloadOutcome;

use crate::world::{Rng, Scenario};
use crate::{MIB, ends_well, honest, run};

/// Returns the pieces of a folder with files of these sizes in bytes.
pub fn folder(files: &[u64]) -> PieceLayout {
    let pieces = FolderPieces::of_sizes(files.iter().sum(), files.iter().copied());
    pieces.layout().unwrap()
}

/// Returns the sizes of the files of a random folder: groups of empty, tiny, small and large ones.
pub fn random_files(rng: &mut Rng, size: u64) -> Vec<u64> {
    let mut files = Vec::new();
    let mut left = size;
    while left > 0 {
        let kind = rng.below(4);
        for _ in 0..1 + rng.below([3_000, 2_000, 40, 3][kind as usize]) {
            let file = match kind {
                0 => 0,
                1 => rng.below(200),
                2 => rng.below(MIB),
                _ => MIB + rng.below(20 * MIB),
            };
            files.push(file.min(left));
            left -= file.min(left);
        }
    }
    files
}

#[test]
fn thousands_of_random_folders_end_well() {
    for seed in 0..2_000 {
        let mut rng = Rng::new(seed);
        let size = match rng.below(3) {
            0 => rng.below(2 * MIB),
            _ => MIB + rng.below(100 * MIB),
        };
        let files = random_files(&mut rng, size);
        ends_well(seed, rng, folder(&files));
    }
}

#[test]
fn a_folder_without_bytes_needs_a_provider_only_for_its_pieces() {
    let empty = run(1, Scenario::of(folder(&[]), vec![]));
    assert_eq!(empty.outcome, DownloadOutcome::Complete);
    let files = vec![0; 5_000];
    let report = run(2, Scenario::of(folder(&files), vec![honest(MIB)]));
    assert_eq!(report.outcome, DownloadOutcome::Complete);
    assert_eq!(report.bytes_received, 0);
}

#[test]
fn one_provider_of_uneven_pieces_is_kept_busy() {
    for seed in 0..100 {
        let files = random_files(&mut Rng::new(seed), 200 * MIB);
        let report = run(seed, Scenario::of(folder(&files), vec![honest(100 * MIB)]));
        assert_eq!(report.outcome, DownloadOutcome::Complete);
        let took = report.took.as_secs_f64();
        assert!(
            took <= 2.0 * 1.02 + 0.05,
            "seed {seed}: {took} s, the bound is 2 s"
        );
        assert_eq!(
            report.bytes_received,
            200 * MIB,
            "a piece was fetched twice"
        );
    }
}

#[test]
fn several_providers_of_uneven_pieces_add_up() {
    for seed in 0..100 {
        let rates = [40 * MIB, 20 * MIB, 5 * MIB, 60 * MIB];
        let size = 500 * MIB;
        let files = random_files(&mut Rng::new(seed), size);
        let report = run(
            seed,
            Scenario::of(folder(&files), rates.map(honest).to_vec()),
        );
        assert_eq!(report.outcome, DownloadOutcome::Complete);
        let (took, bound) = (report.took.as_secs_f64(), 4.0);
        assert!(
            took <= bound * 1.05 + 0.1,
            "seed {seed}: {took} s, the bound is {bound} s"
        );
        let received = report.bytes_received;
        assert!(
            received <= size + size / 50,
            "seed {seed}: {received} received"
        );
    }
}
