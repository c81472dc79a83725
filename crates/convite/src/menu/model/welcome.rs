//! Coming in: an invite link, an account, its password.

use convite_core::{Problem, UserName};
use convite_wire::invite::InviteLink;

use super::Input;

/// A password on its way; it is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A password that is being typed.
#[derive(Default)]
struct Hidden(Input);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Link,
    User,
    Password,
}

/// The form of a home that is in no session.
#[derive(Debug)]
pub struct Welcome {
    /// A home that belongs to a directory needs no link.
    pub wants_link: bool,
    pub link: Input,
    pub user: Input,
    password: Hidden,
    pub field: Field,
    /// An answer is awaited.
    pub busy: bool,
    pub problem: Option<Problem>,
}

impl Welcome {
    pub fn new(wants_link: bool, user: &str) -> Self {
        Self {
            wants_link,
            link: Input::default(),
            user: Input::with(user),
            password: Hidden::default(),
            field: if wants_link {
                Field::Link
            } else {
                Field::Password
            },
            busy: false,
            problem: None,
        }
    }

    pub fn fields(&self) -> &'static [Field] {
        if self.wants_link {
            &[Field::Link, Field::User, Field::Password]
        } else {
            &[Field::User, Field::Password]
        }
    }

    /// How long the password is, which is all that is shown of it.
    pub fn password_length(&self) -> usize {
        self.password.0.text().chars().count()
    }

    pub fn password(&self) -> Secret {
        Secret(self.password.0.text().to_owned())
    }

    pub fn input(&mut self) -> &mut Input {
        match self.field {
            Field::Link => &mut self.link,
            Field::User => &mut self.user,
            Field::Password => &mut self.password.0,
        }
    }

    /// The next field, or the one before; around the corner.
    pub fn step(&mut self, steps: usize) {
        let fields = self.fields();
        let at = fields.iter().position(|field| *field == self.field);
        self.field = fields[(at.unwrap_or(0) + steps) % fields.len()];
    }

    /// The first field that is still empty.
    pub fn missing(&self) -> Option<Field> {
        let empty = |field: &Field| match field {
            Field::Link => self.link.is_empty(),
            Field::User => self.user.is_empty(),
            Field::Password => self.password.0.is_empty(),
        };
        self.fields().iter().copied().find(empty)
    }

    /// Whether what is typed in this field, or else in one before it, cannot be right; then it is
    /// said, and the field is where one is.
    pub fn object(&mut self) -> bool {
        let wrong = |field: &Field| match field {
            Field::Link if self.link.is_empty() => None,
            Field::Link => self.link.text().parse::<InviteLink>().err(),
            Field::User if self.user.is_empty() => None,
            Field::User => self.user.text().trim().parse::<UserName>().err(),
            Field::Password => None,
        };
        let here = self.field;
        let fields = std::iter::once(&here).chain(self.fields());
        let found = fields
            .copied()
            .find_map(|field| Some((field, wrong(&field)?)));
        let Some((field, problem)) = found else {
            return false;
        };
        self.field = field;
        self.problem = Some(problem);
        true
    }

    /// What was asked for was refused.
    pub fn refused(&mut self, problem: Problem) {
        use convite_core::ErrorCode;
        self.busy = false;
        self.field = match problem.code {
            ErrorCode::UserTaken => Field::User,
            // Link and name were looked at here: what is left is the password.
            ErrorCode::WrongCredentials | ErrorCode::InvalidArgument => Field::Password,
            ErrorCode::InviteInvalid | ErrorCode::Untrusted if self.wants_link => Field::Link,
            _ => self.field,
        };
        if self.field == Field::Password {
            self.password.0.clear();
        }
        self.problem = Some(problem);
    }
}
