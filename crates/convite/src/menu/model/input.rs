//! A one-line text field.

/// The maximum length in bytes.
const LENGTH_MAX: usize = 4_096;

/// The text and the cursor of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextField {
    text: String,
    /// The cursor position in characters.
    cursor: usize,
}

impl TextField {
    /// Creates a field with text and the cursor at its end.
    pub fn with(text: impl Into<String>) -> Self {
        let text = text.into();
        let cursor = text.chars().count();
        Self { text, cursor }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns the text before and after the cursor.
    pub fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.byte(self.cursor))
    }

    fn byte(&self, at: usize) -> usize {
        let mut all = self.text.char_indices();
        all.nth(at).map_or(self.text.len(), |(byte, _)| byte)
    }

    /// Inserts text without its control characters. Returns whether the text changed.
    pub fn insert(&mut self, text: &str) -> bool {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        if text.is_empty() || self.text.len() + text.len() > LENGTH_MAX {
            return false;
        }
        self.text.insert_str(self.byte(self.cursor), &text);
        self.cursor += text.chars().count();
        true
    }

    /// Deletes the character before the cursor.
    pub fn backspace(&mut self) -> bool {
        if self.cursor == 0 {
            return false;
        }
        self.cursor -= 1;
        self.text.remove(self.byte(self.cursor));
        true
    }

    /// Deletes the character after the cursor.
    pub fn delete(&mut self) -> bool {
        let byte = self.byte(self.cursor);
        let any = byte < self.text.len();
        if any {
            self.text.remove(byte);
        }
        any
    }

    /// Deletes the word before the cursor.
    pub fn delete_word(&mut self) -> bool {
        let before = self.parts().0.to_owned();
        let kept = before.trim_end_matches([' ', '/']);
        let kept = kept.rfind([' ', '/']).map_or(0, |at| at + 1);
        let after = self.parts().1.to_owned();
        let changed = kept < before.len();
        self.cursor = before[..kept].chars().count();
        self.text = format!("{}{after}", &before[..kept]);
        changed
    }

    pub fn clear(&mut self) -> bool {
        let any = !self.text.is_empty();
        *self = Self::default();
        any
    }

    pub fn left(&mut self) {
        self.cursor = self.cursor.saturating_sub(1);
    }

    pub fn right(&mut self) {
        self.cursor = (self.cursor + 1).min(self.text.chars().count());
    }

    pub fn home(&mut self) {
        self.cursor = 0;
    }

    pub fn end(&mut self) {
        self.cursor = self.text.chars().count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_edited_at_any_position() {
        let mut input = TextField::with("añ");
        input.left();
        assert!(input.insert("文\n"));
        assert_eq!(input.parts(), ("a文", "ñ"));
        assert!(input.backspace() && input.delete());
        assert_eq!(input.text(), "a");
        assert!(!input.delete());
        input.home();
        assert!(!input.backspace());
        let mut path = TextField::with("/home/ana/x y");
        for left in ["/home/ana/x ", "/home/ana/", "/home/", "/", ""] {
            assert!(path.delete_word());
            assert_eq!(path.text(), left);
        }
        assert!(!path.delete_word());
        assert!(!path.insert(&"x".repeat(LENGTH_MAX + 1)));
    }
}
