//! The login form: invite link, user name, password.

use convite_core::{Problem, UserName};
use convite_wire::invite::InviteLink;

use super::input::TextField;
use crate::password::Password;

/// A password field; `Debug` hides it.
#[derive(Default)]
struct PasswordField(TextField);

impl std::fmt::Debug for PasswordField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A field of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Link,
    User,
    Password,
}

/// The login form of a home without a session.
#[derive(Debug)]
pub struct LoginForm {
    /// Whether a link is required; false if the home has joined a directory.
    pub needs_link: bool,
    pub link: TextField,
    pub user: TextField,
    password: PasswordField,
    pub field: Field,
    /// Whether a request is pending.
    pub busy: bool,
    pub problem: Option<Problem>,
}

impl LoginForm {
    pub fn new(needs_link: bool, user: &str) -> Self {
        Self {
            needs_link,
            link: TextField::default(),
            user: TextField::with(user),
            password: PasswordField::default(),
            field: if needs_link {
                Field::Link
            } else {
                Field::Password
            },
            busy: false,
            problem: None,
        }
    }

    pub fn fields(&self) -> &'static [Field] {
        if self.needs_link {
            &[Field::Link, Field::User, Field::Password]
        } else {
            &[Field::User, Field::Password]
        }
    }

    /// Returns the length of the password, the only property that is shown.
    pub fn password_length(&self) -> usize {
        self.password.0.text().chars().count()
    }

    pub fn password(&self) -> Password {
        Password(self.password.0.text().to_owned())
    }

    pub fn input(&mut self) -> &mut TextField {
        match self.field {
            Field::Link => &mut self.link,
            Field::User => &mut self.user,
            Field::Password => &mut self.password.0,
        }
    }

    /// Moves `steps` fields forward, wrapping around.
    pub fn step(&mut self, steps: usize) {
        let fields = self.fields();
        let at = fields.iter().position(|field| *field == self.field);
        self.field = fields[(at.unwrap_or(0) + steps) % fields.len()];
    }

    /// Returns the first empty field.
    pub fn first_empty(&self) -> Option<Field> {
        let empty = |field: &Field| match field {
            Field::Link => self.link.is_empty(),
            Field::User => self.user.is_empty(),
            Field::Password => self.password.0.is_empty(),
        };
        self.fields().iter().copied().find(empty)
    }

    /// Checks the current field, then the others. On the first invalid field, sets the problem, moves
    /// to that field and returns true.
    pub fn show_invalid(&mut self) -> bool {
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

    /// Shows the error of a login attempt and moves to the field that caused it.
    pub fn show_error(&mut self, problem: Problem) {
        use convite_core::ErrorCode;
        self.busy = false;
        self.field = match problem.code {
            ErrorCode::UserTaken => Field::User,
            // Link and name are already validated, so the password is wrong.
            ErrorCode::WrongCredentials | ErrorCode::InvalidArgument => Field::Password,
            ErrorCode::InviteInvalid | ErrorCode::Untrusted if self.needs_link => Field::Link,
            _ => self.field,
        };
        if self.field == Field::Password {
            self.password.0.clear();
        }
        self.problem = Some(problem);
    }
}
