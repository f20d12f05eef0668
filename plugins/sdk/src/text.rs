//! Words that providers limit.

/// The first so many characters.
pub fn first(text: &str, characters: usize) -> &str {
    match text.char_indices().nth(characters) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole() {
        for (text, characters, wanted) in
            [("tea", 3, "tea"), ("teas", 3, "tea"), ("茶葉", 1, "茶"), ("茶", 0, ""), ("", 5, "")]
        {
            assert_eq!(first(text, characters), wanted, "{text}");
        }
    }
}
