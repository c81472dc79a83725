//! A directory for tests.

use std::time::Duration;

use convite_directory::{DirectoryConfig, RunningDirectory, start};
use tokio_util::sync::CancellationToken;

/// A running directory with its own folder, stopped at the end.
pub struct Running {
    pub home: tempfile::TempDir,
    pub directory: Option<RunningDirectory>,
    shutdown: CancellationToken,
    change: Box<dyn Fn(&mut DirectoryConfig) + Send + Sync>,
}

impl Running {
    pub async fn start(change: impl Fn(&mut DirectoryConfig) + Send + Sync + 'static) -> Self {
        let mut running = Self {
            home: tempfile::tempdir().unwrap(),
            directory: None,
            shutdown: CancellationToken::new(),
            change: Box::new(change),
        };
        running.again().await;
        running
    }

    async fn again(&mut self) {
        let mut config = DirectoryConfig::new(self.home.path());
        config.listen = "127.0.0.1:0".parse().unwrap();
        (self.change)(&mut config);
        self.shutdown = CancellationToken::new();
        self.directory = Some(start(config, self.shutdown.clone()).await.unwrap());
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.again().await;
    }

    /// Restarts after removing a folder.
    pub async fn restart_without(&mut self, folder: &std::path::Path) {
        self.stop().await;
        std::fs::remove_dir_all(folder).unwrap();
        self.again().await;
    }

    pub fn tell_to_stop(&self) {
        self.shutdown.cancel();
    }

    pub async fn stop(&mut self) {
        self.tell_to_stop();
        let directory = self.directory.take().unwrap();
        let finished = tokio::time::timeout(Duration::from_secs(60), directory.finished());
        finished
            .await
            .expect("the directory stops in time")
            .unwrap();
    }

    pub fn get(&self) -> &RunningDirectory {
        self.directory.as_ref().unwrap()
    }
}
