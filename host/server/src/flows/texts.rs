//! Texts that people give: measured in characters, whatever the alphabet, and without what no page or database shows.

use super::FieldError;

/// What is wrong with a text that is not one line of 1 to `most` characters.
pub(super) fn one_line(field: &str, text: &str, most: usize) -> Option<FieldError> {
    let fits = !text.trim().is_empty() && is_line(text, most);
    let rule = || format!("must be one line of 1 to {most} characters");
    (!fits).then(|| FieldError::new(field, rule()))
}

/// Whether a text is one line of no more than `most` characters.
pub(super) fn is_line(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_of_so_many_characters() {
        for (text, fits) in [
            ("a", true),
            ("\u{8336}\u{8336}\u{8336}\u{8336}", true),
            ("\u{8336}\u{8336}\u{8336}\u{8336}\u{8336}", false),
            ("", false),
            (" \t", false),
            ("a\nb", false),
            ("a\0b", false),
            ("a\u{85}", false),
        ] {
            assert_eq!(one_line("name", text, 4).is_none(), fits, "{text:?}");
        }
        let error = one_line("name", "", 4).unwrap();
        assert_eq!(
            (error.field, error.rule),
            ("name".to_owned(), "must be one line of 1 to 4 characters".to_owned())
        );
    }
}
