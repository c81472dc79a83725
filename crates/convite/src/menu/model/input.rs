//! A line that is being typed.

/// More is not taken.
const LONGEST: usize = 4_096;

/// Text and where in it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// In characters.
    at: usize,
}

impl Input {
    /// With text in it, typed after.
    pub fn with(text: impl Into<String>) -> Self {
        let text = text.into();
        let at = text.chars().count();
        Self { text, at }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What is before and what is after the place of typing.
    pub fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.byte(self.at))
    }

    fn byte(&self, at: usize) -> usize {
        let mut all = self.text.char_indices();
        all.nth(at).map_or(self.text.len(), |(byte, _)| byte)
    }

    /// Types text; control characters are left out. Whether anything changed.
    pub fn insert(&mut self, text: &str) -> bool {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        if text.is_empty() || self.text.len() + text.len() > LONGEST {
            return false;
        }
        self.text.insert_str(self.byte(self.at), &text);
        self.at += text.chars().count();
        true
    }

    /// Takes away the character before.
    pub fn backspace(&mut self) -> bool {
        if self.at == 0 {
            return false;
        }
        self.at -= 1;
        self.text.remove(self.byte(self.at));
        true
    }

    /// Takes away the character after.
    pub fn delete(&mut self) -> bool {
        let byte = self.byte(self.at);
        let any = byte < self.text.len();
        if any {
            self.text.remove(byte);
        }
        any
    }

    /// Takes away the word before.
    pub fn delete_word(&mut self) -> bool {
        let before = self.parts().0.to_owned();
        let kept = before.trim_end_matches([' ', '/']);
        let kept = kept.rfind([' ', '/']).map_or(0, |at| at + 1);
        let after = self.parts().1.to_owned();
        let changed = kept < before.len();
        self.at = before[..kept].chars().count();
        self.text = format!("{}{after}", &before[..kept]);
        changed
    }

    pub fn clear(&mut self) -> bool {
        let any = !self.text.is_empty();
        *self = Self::default();
        any
    }

    pub fn left(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    pub fn right(&mut self) {
        self.at = (self.at + 1).min(self.text.chars().count());
    }

    pub fn home(&mut self) {
        self.at = 0;
    }

    pub fn end(&mut self) {
        self.at = self.text.chars().count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_typed_and_corrected_anywhere() {
        let mut input = Input::with("añ");
        input.left();
        assert!(input.insert("文\n"));
        assert_eq!(input.parts(), ("a文", "ñ"));
        assert!(input.backspace() && input.delete());
        assert_eq!(input.text(), "a");
        assert!(!input.delete());
        input.home();
        assert!(!input.backspace());
        let mut path = Input::with("/home/ana/x y");
        for left in ["/home/ana/x ", "/home/ana/", "/home/", "/", ""] {
            assert!(path.delete_word());
            assert_eq!(path.text(), left);
        }
        assert!(!path.delete_word());
        assert!(!path.insert(&"x".repeat(LONGEST + 1)));
    }
}
