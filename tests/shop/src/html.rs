//! As much of HTML as a payer's browser needs here: the forms of a page with their fields and buttons.

/// A form as it stands on a page, filled as the page fills it.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// Where it goes, relative to the page; empty for the page itself.
    pub action: String,
    /// Whether it is posted; it is a query otherwise.
    pub post: bool,
    /// Fields with their values. Of radio buttons the chosen one, or the first.
    pub fields: Vec<(String, String)>,
    /// What can be pressed.
    pub buttons: Vec<Button>,
}

/// A button that submits its form.
#[derive(Clone, Debug, Default)]
pub struct Button {
    /// What is sent along when it is pressed, if it has a name.
    pub field: Option<(String, String)>,
    /// What the payer reads on it.
    pub label: String,
}

/// An opening or closing tag.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
    /// The text from here to the next tag.
    text: String,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn field(&self) -> Option<(String, String)> {
        let name = self.get("name").filter(|name| !name.is_empty())?;
        Some((name.to_owned(), self.get("value").unwrap_or_default().to_owned()))
    }
}

/// The forms of a page, in order.
pub fn forms(page: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut open = false;
    let mut in_button = false;
    for tag in tags(page) {
        match tag.name.as_str() {
            "form" => {
                open = true;
                let post = tag.get("method").is_some_and(|it| it.eq_ignore_ascii_case("post"));
                let action = tag.get("action").unwrap_or_default().to_owned();
                forms.push(Form { action, post, ..Form::default() });
            }
            "/form" => open = false,
            "/button" => in_button = false,
            _ => {}
        }
        let Some(form) = forms.last_mut().filter(|_| open) else {
            continue;
        };
        match tag.name.as_str() {
            "input" => input(form, &tag),
            "button" => {
                in_button = true;
                form.buttons.push(Button { field: tag.field(), label: tag.text.trim().to_owned() });
            }
            // A label may be more than one element: <button><img><span>Pay</span></button>.
            _ if in_button => {
                if let Some(button) = form.buttons.last_mut() {
                    button.label =
                        format!("{} {}", button.label, tag.text.trim()).trim().to_owned();
                }
            }
            _ => {}
        }
    }
    forms
}

fn input(form: &mut Form, tag: &Tag) {
    let Some((name, value)) = tag.field() else {
        if tag.get("type") == Some("submit") {
            let label = tag.get("value").unwrap_or_default().to_owned();
            form.buttons.push(Button { field: None, label });
        }
        return;
    };
    match tag.get("type").unwrap_or("text") {
        "submit" => form.buttons.push(Button { label: value.clone(), field: Some((name, value)) }),
        "radio" => {
            let chosen = form.fields.iter_mut().find(|(known, _)| *known == name);
            match chosen {
                Some(field) if tag.get("checked").is_some() => field.1 = value,
                Some(_) => {}
                None => form.fields.push((name, value)),
            }
        }
        "checkbox" if tag.get("checked").is_none() => {}
        "button" | "image" | "reset" | "file" => {}
        _ => form.fields.push((name, value)),
    }
}

fn tags(page: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some((mut tag, after)) = tag(rest) else {
            continue;
        };
        rest = after;
        if tag.name == "script" || tag.name == "style" {
            let end = format!("</{}", tag.name);
            rest = rest.find(&end).map_or("", |at| &rest[at..]);
        }
        let text_end = rest.find('<').unwrap_or(rest.len());
        tag.text = unescape(&rest[..text_end]);
        found.push(tag);
    }
    found
}

/// Reads a tag behind its `<`: the tag and what comes behind its `>`.
fn tag(text: &str) -> Option<(Tag, &str)> {
    let name_end = text.find(|letter: char| letter.is_whitespace() || letter == '>')?;
    let name = text[..name_end].trim_end_matches('/').to_ascii_lowercase();
    let mut rest = &text[name_end..];
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start().trim_start_matches('/');
        if let Some(after) = rest.strip_prefix('>') {
            return Some((Tag { name, attributes, text: String::new() }, after));
        }
        let name_end =
            rest.find(|letter: char| letter.is_whitespace() || "=>/".contains(letter))?;
        let attribute = rest[..name_end].to_ascii_lowercase();
        if attribute.is_empty() {
            rest = rest.get(1..)?;
            continue;
        }
        rest = rest[name_end..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            (value, rest) = attribute_value(after.trim_start())?;
        }
        attributes.push((attribute, unescape(value)));
    }
}

fn attribute_value(text: &str) -> Option<(&str, &str)> {
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote) {
            return inside.split_once(quote);
        }
    }
    let end = text.find(|letter: char| letter.is_whitespace() || letter == '>')?;
    Some(text.split_at(end))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let known =
            rest[1..].split_once(';').and_then(|(name, after)| Some((entity(name)?, after)));
        match known {
            Some((letter, after)) => {
                out.push(letter);
                rest = after;
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_a_browser_reads_it() {
        let page = r#"<!doctype html><!-- <form> --><title>a < b</title>
            <form action="/pay?a=1&amp;b=2" method=POST>
              <input type="hidden" name="content" value="{&quot;n&quot;:&#34;1&#x22;}">
              <input type=radio name=way value=one><input type=radio name=way value=two checked>
              <input type="checkbox" name="keep" value="yes">
              <button name="act" value="pay"><b>Pay</b> now</button><input type=submit value=Cancel />
            </form><script>document.write("<form>")</script><form></form>"#;
        let forms = forms(page);
        assert_eq!(forms.len(), 2);
        assert_eq!(forms[0].action, "/pay?a=1&b=2");
        assert!(forms[0].post && !forms[1].post);
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(forms[0].fields, [field("content", r#"{"n":"1"}"#), field("way", "two")]);
        assert_eq!(forms[0].buttons[0].field, Some(field("act", "pay")));
        assert_eq!(forms[0].buttons[0].label, "Pay now");
        assert_eq!(forms[0].buttons[1].label, "Cancel");
    }

    #[test]
    fn broken_pages_end() {
        for page in [
            "<",
            "<form",
            "<form a",
            "<form =",
            "<form a=\"",
            "<!--",
            "<script>",
            "&#xzz;",
            "<a =b>",
        ] {
            assert!(forms(page).len() <= 1, "{page}");
        }
        assert_eq!(unescape("a & b &unknown; &amp;amp;"), "a & b &unknown; &amp;");
    }
}
