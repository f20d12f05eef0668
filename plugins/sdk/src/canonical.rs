//! Canonical strings: what form protocols sign.

/// Joins `name=value` with `&`, values as they are, leaving out empty values. The pairs come sorted by name.
pub fn join<'a>(sorted: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::with_capacity(1024);
    for (name, value) in sorted {
        if value.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn leaves_out_what_is_empty_and_encodes_nothing() {
        assert_eq!(join([("a", ""), ("b", "x y&"), ("c", ""), ("d", "=")]), "b=x y&&d==");
        assert_eq!(join([]), "");
    }
}
