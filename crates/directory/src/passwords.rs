//! Password hashing with argon2id, on dedicated threads, with limits on the number of hashes.
//!
//! Passwords are first normalized as in RFC 8265, section 4.2 (OpaqueString), in both APIs,
//! both when they are set and when they are checked, so that they do not depend on how a keyboard
//! composes characters.
//!
//! Each hash takes 19 MiB and about 20 ms (OWASP's parameters, the crate's default). The number of
//! running and of waiting hashes is therefore limited, and the threads have a low priority, so that
//! logins do not delay searches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use convite_core::{ErrorCode, Problem};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use unicode_normalization::UnicodeNormalization;

/// Minimum length of a password, in characters.
pub const PASSWORD_MIN: usize = 8;
/// Maximum length of a password, in characters.
pub const PASSWORD_MAX: usize = 1024;
/// Maximum number of waiting hashes.
const WAITING_MAX: usize = 64;
/// Maximum waiting time.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// `Retry-After` of refused requests.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Nice value of the threads, from 0 to 19 (nice(2)).
#[cfg(target_os = "linux")]
const THREAD_NICE: i32 = 10;

/// Computes argon2id hashes, and counts them.
#[derive(Default)]
struct Hasher {
    argon2: Argon2<'static>,
    computed: AtomicU64,
}

impl Hasher {
    fn hash(&self, password: &str) -> argon2::password_hash::Result<PasswordHash> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        self.argon2.hash_password(password.as_bytes())
    }

    fn matches(&self, password: &str, stored: &str) -> bool {
        self.computed.fetch_add(1, Ordering::Relaxed);
        self.argon2
            .verify_password(password.as_bytes(), stored)
            .is_ok()
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Prepares a password as in RFC 8265, section 4.2.2: spaces of any kind become ASCII spaces, and
/// the rest is NFC. Control characters are refused: NUL and line ends come from files and
/// terminals, and are not intended.
fn normalize(password: &str) -> Result<String, Problem> {
    let refused = |why: &str| {
        Problem::invalid(format!("the password contains {why}"))
            .hint("type it again, or save its file as plain UTF-8 text")
    };
    if let Some(c) = password.chars().find(|c| c.is_control()) {
        return Err(match c {
            '\0' => refused("a NUL character"),
            '\n' | '\r' => refused("a line end"),
            _ => refused("a control character"),
        });
    }
    // Invisible format characters (RFC 8264, section 9.13, PrecisIgnorableProperties). Joiners are
    // allowed, because they are part of the spelling of words.
    let is_unseen = |c: char| {
        matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    if password.chars().any(is_unseen) {
        return Err(refused("an invisible character"));
    }
    let spaced = password
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c });
    Ok(spaced.nfc().collect())
}

/// Hashes and checks passwords.
pub struct PasswordHasher {
    hasher: Arc<Hasher>,
    jobs: Sender<Job>,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Default for PasswordHasher {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..cores {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("passwords-{number}"));
            if let Err(error) = thread.spawn(move || run_hash_thread(&queue)) {
                tracing::error!(%error, "cannot start a password thread");
            }
        }
        Self {
            hasher: Arc::default(),
            jobs,
            running: Arc::new(Semaphore::new(cores)),
            admitted: Arc::new(Semaphore::new(cores + WAITING_MAX)),
        }
    }
}

impl PasswordHasher {
    /// Returns the argon2id hash of a new password, in PHC format.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the password is too short or too long, or contains control or
    /// invisible characters; `overloaded` if too many hashes wait, or the wait is too long.
    pub async fn hash(&self, password: &str) -> Result<String, Problem> {
        let password = normalize(password)?;
        if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&password.chars().count()) {
            return Err(Problem::invalid("use 8 to 1,024 characters")
                .hint("a few words are easy to remember"));
        }
        let hasher = Arc::clone(&self.hasher);
        self.run(move || {
            let hash = hasher
                .hash(&password)
                .map_err(|e| Problem::new(ErrorCode::Internal, format!("password hash: {e}")))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Returns whether `password` matches the hash `stored`. Without a hash (no such user, or an
    /// account without a password) the result is `false`, after the same time.
    ///
    /// # Errors
    /// Returns `invalid_argument` for a password that no account can have; `overloaded` if too many
    /// hashes wait, or the wait is too long.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, Problem> {
        let password = normalize(password)?;
        if password.chars().count() > PASSWORD_MAX {
            return Ok(false);
        }
        let stored = stored.unwrap_or_default().to_owned();
        let hasher = Arc::clone(&self.hasher);
        self.run(move || {
            if stored.is_empty() {
                let _ = hasher.hash(&password);
                return Ok(false);
            }
            Ok(hasher.matches(&password, &stored))
        })
        .await
    }

    /// Number of hashes computed since the start.
    pub fn computed(&self) -> u64 {
        self.hasher.computed.load(Ordering::Relaxed)
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
        let failed = || Problem::new(ErrorCode::Internal, "cannot hash the password");
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Held here, because the work continues if the caller is cancelled.
            let _held = (admitted, turn);
            let _ = reply.send(work());
        });
        self.jobs.send(job).map_err(|_| failed())?;
        answer.await.map_err(|_| failed())?
    }
}

/// Runs jobs until the sender is dropped.
fn run_hash_thread(queue: &Mutex<Receiver<Job>>) {
    // On Linux this affects only this thread; on other systems, the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, THREAD_NICE);
    loop {
        let job = queue.lock().recv();
        let Ok(job) = job else {
            return;
        };
        // The panic hook has logged it; the caller gets an error.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_accepted() {
        let passwords = PasswordHasher::default();
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
    async fn a_password_is_the_same_however_it_is_composed() {
        let passwords = PasswordHasher::default();
        let set = "contrase\u{f1}a caf\u{e9}";
        let hash = passwords.hash(set).await.unwrap();
        for (typed, good) in [
            ("contrasen\u{303}a cafe\u{301}", true),
            ("contrase\u{f1}a\u{a0}caf\u{e9}", true),
            ("contrase\u{f1}a\u{3000}caf\u{e9}", true),
            // Case and width are significant.
            ("Contrase\u{f1}a caf\u{e9}", false),
            ("contrase\u{f1}a cafe", false),
        ] {
            let is_it = passwords.verify(typed, Some(&hash)).await.unwrap();
            assert_eq!(is_it, good, "{typed:?}");
        }
        for bad in [
            "secret word\0",
            "secret word\r",
            "\u{feff}secret word",
            "secret\u{200b} word",
            "secret\tword 1",
        ] {
            for refused in [
                passwords.hash(bad).await.map(drop),
                passwords.verify(bad, Some(&hash)).await.map(drop),
            ] {
                assert_eq!(
                    refused.unwrap_err().code,
                    ErrorCode::InvalidArgument,
                    "{bad:?}"
                );
            }
        }
    }

    #[tokio::test]
    async fn passwords_of_other_lengths_are_refused() {
        let passwords = PasswordHasher::default();
        for (len, good) in [(7, false), (8, true), (1024, true), (1025, false)] {
            assert_eq!(
                passwords.hash(&"x".repeat(len)).await.is_ok(),
                good,
                "{len}"
            );
        }
    }

    #[tokio::test]
    async fn hashes_over_the_limit_are_refused_until_others_end() {
        let passwords = PasswordHasher {
            running: Arc::new(Semaphore::new(1)),
            admitted: Arc::new(Semaphore::new(1)),
            ..PasswordHasher::default()
        };
        let taken = Arc::clone(&passwords.admitted).try_acquire_owned().unwrap();
        let refused = passwords.verify("password", None).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Overloaded);
        drop(taken);
        assert!(!passwords.verify("password", None).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_bounded() {
        let passwords = PasswordHasher::default();
        let _all = Arc::clone(&passwords.running)
            .acquire_many_owned(passwords.running.available_permits() as u32)
            .await;
        let refused = passwords.verify("password", None).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Overloaded);
    }
}
