//! Passwords: argon2id, on threads of their own, and never more of it at once than the machine bears.
//!
//! Each hash takes 19 MiB and some 20 ms (OWASP's parameters, the crate's default), so the number
//! that run and the number that wait are bounded, and the threads give way to everything else: nobody's
//! search waits for somebody's login.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use convite_core::{ErrorCode, Problem};
use tokio::sync::{Semaphore, oneshot};

/// The shortest password, in characters.
pub const PASSWORD_MIN: usize = 8;
/// The longest password, in characters.
pub const PASSWORD_MAX: usize = 1024;
/// How many may wait for their turn.
const WAITING_MAX: usize = 64;
/// How long one of them waits at most.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// When who was turned away may come back.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How much the threads give way, from 0 to 19 (nice(2)).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Hashes and checks passwords.
pub struct Passwords {
    jobs: Sender<Job>,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..cores {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("passwords-{number}"));
            if let Err(error) = thread.spawn(move || hash_on(&queue)) {
                tracing::error!(%error, "a thread for passwords cannot be started");
            }
        }
        Self {
            jobs,
            running: Arc::new(Semaphore::new(cores)),
            admitted: Arc::new(Semaphore::new(cores + WAITING_MAX)),
        }
    }
}

impl Passwords {
    /// The argon2id hash of a new password, in PHC format.
    ///
    /// # Errors
    /// `invalid_argument` if it is too short or too long; `overloaded` if too many wait, or it
    /// takes too long.
    pub async fn hash(&self, password: &str) -> Result<String, Problem> {
        if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&password.chars().count()) {
            return Err(
                Problem::invalid("the password is too short or too long").hint(format!(
                    "use {PASSWORD_MIN} to {PASSWORD_MAX} characters; a few words are easy to remember"
                )),
            );
        }
        let password = password.to_owned();
        self.run(move || {
            let hash: PasswordHash = Argon2::default()
                .hash_password(password.as_bytes())
                .map_err(|e| Problem::new(ErrorCode::Internal, format!("password hash: {e}")))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether `password` belongs to the hash `stored`. Without a hash (nobody of that name, or an
    /// account that has no password) the answer is no, and takes as long.
    ///
    /// # Errors
    /// `overloaded` if too many wait, or it takes too long.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, Problem> {
        if password.chars().count() > PASSWORD_MAX {
            return Ok(false);
        }
        let password = password.to_owned();
        let stored = stored.unwrap_or_default().to_owned();
        self.run(move || {
            let argon2 = Argon2::default();
            if stored.is_empty() {
                let _: Result<PasswordHash, _> = argon2.hash_password(password.as_bytes());
                return Ok(false);
            }
            Ok(argon2
                .verify_password(password.as_bytes(), stored.as_str())
                .is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || {
            Problem::new(ErrorCode::Overloaded, "too many logins at once")
                .hint("try again in a few seconds")
                .retry_after(RETRY_AFTER)
        };
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let turn = Arc::clone(&self.running).acquire_owned();
        let turn = tokio::time::timeout(WAIT_MAX, turn)
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(busy)?;
        let failed = || Problem::new(ErrorCode::Internal, "hashing a password failed");
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Held here: the work goes on if the one who asked goes away.
            let _held = (admitted, turn);
            let _ = reply.send(work());
        });
        self.jobs.send(job).map_err(|_| failed())?;
        answer.await.map_err(|_| failed())?
    }
}

/// Does what comes, until nobody can ask any more.
fn hash_on(queue: &Mutex<Receiver<Job>>) {
    // Of this thread alone; elsewhere it would be of the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICE);
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        // The panic hook has told; who asked hears that it failed.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_accepted() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        for (password, stored, good) in [
            ("correct horse", Some(hash.as_str()), true),
            ("correct horsf", Some(hash.as_str()), false),
            ("", Some(""), false),
            ("correct horse", Some(""), false),
            ("correct horse", None, false),
            ("correct horse", Some("$argon2id$broken"), false),
        ] {
            assert_eq!(passwords.verify(password, stored).await.unwrap(), good);
        }
    }

    #[tokio::test]
    async fn passwords_of_other_lengths_are_refused() {
        let passwords = Passwords::default();
        for (len, good) in [(7, false), (8, true), (1024, true), (1025, false)] {
            assert_eq!(
                passwords.hash(&"x".repeat(len)).await.is_ok(),
                good,
                "{len}"
            );
        }
    }

    #[tokio::test]
    async fn too_many_at_once_are_turned_away_and_then_let_in_again() {
        let passwords = Passwords {
            running: Arc::new(Semaphore::new(1)),
            admitted: Arc::new(Semaphore::new(1)),
            ..Passwords::default()
        };
        let taken = Arc::clone(&passwords.admitted).try_acquire_owned().unwrap();
        let refused = passwords.verify("password", None).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Overloaded);
        drop(taken);
        assert!(!passwords.verify("password", None).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end() {
        let passwords = Passwords::default();
        let _all = Arc::clone(&passwords.running)
            .acquire_many_owned(passwords.running.available_permits() as u32)
            .await;
        let refused = passwords.verify("password", None).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Overloaded);
    }
}
