//! Text that may hold a secret, made safe to show.

/// Makes text from outside safe for a message or a log: no control characters, no token-like runs,
/// at most 500 characters.
pub fn clean(text: &str) -> String {
    let text: String =
        text.chars().take(LOOKED_AT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut after_bearer = false;
    let cleaned: String = text
        .split_inclusive(|c: char| !in_word(c))
        .map(|run| {
            let word = run.trim_end_matches(|c: char| !in_word(c));
            let secret = looks_secret(word) || (after_bearer && word.len() >= 8);
            if !word.is_empty() {
                after_bearer = word.eq_ignore_ascii_case("bearer");
            }
            if secret { run.replace(word, HIDDEN) } else { run.to_owned() }
        })
        .collect();
    // Cut last: half a token no longer looks like one.
    cleaned.chars().take(SERVER_TEXT_LIMIT).collect()
}

/// Redacts `secret` in a text, even if the secret is cut short: a match of its first eight
/// characters is removed to the end of the word. A shorter secret is removed only where it is a
/// whole word.
pub(crate) fn hide(text: &mut String, secret: &str) {
    let head = secret.char_indices().nth(HEAD).map_or(secret, |(end, _)| &secret[..end]);
    if head.is_empty() || !text.contains(head) {
        return;
    }
    let is_short = secret.chars().nth(HEAD - 1).is_none();
    let mut hidden = String::new();
    let mut rest = text.as_str();
    while let Some((before, found)) = rest.find(head).map(|at| rest.split_at(at)) {
        hidden.push_str(before);
        let behind = &found[head.len()..];
        if is_short && (hidden.ends_with(in_word) || behind.starts_with(in_word)) {
            hidden.push_str(head);
            rest = behind;
            continue;
        }
        hidden.push_str(HIDDEN);
        let alike = found.chars().zip(secret.chars()).take_while(|(one, other)| one == other);
        let alike = alike.map(|(one, _)| one.len_utf8()).sum::<usize>();
        rest = found[alike..].trim_start_matches(in_word);
    }
    hidden.push_str(rest);
    *text = hidden;
}

/// Returns `true` for a character that tokens are made of.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '=')
}

/// Returns `true` for a word that looks like a token, because a server may echo what it was sent.
///
/// JWTs and Private Integration tokens have a shape; long unbroken runs with digits are treated
/// alike. Ids (24 characters, UUIDs) stay readable.
fn looks_secret(word: &str) -> bool {
    word.starts_with("eyJ") && word.len() > 16
        || word.starts_with("pit-") && word.len() > 12
        || word.len() > 40 && word.bytes().any(|b| b.is_ascii_digit())
}

const SERVER_TEXT_LIMIT: usize = 500;
const LOOKED_AT: usize = 20_000;
/// Characters of a secret that make a likeness.
const HEAD: usize = 8;
const HIDDEN: &str = "[redacted]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoed_secrets_are_cut_out_of_server_text() {
        let text = clean(
            "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIi is bad\r\nfor 5f0c1ab2 pit-0123456789abcdef",
        );
        assert_eq!(text, "token [redacted] is bad  for 5f0c1ab2 [redacted]");
        assert_eq!(clean(&"x".repeat(9_000)).len(), SERVER_TEXT_LIMIT);
        assert_eq!(
            clean("was Bearer Zq8fW12x, a bearer token is bad"),
            "was Bearer [redacted], a bearer token is bad"
        );
        let cut = clean(&format!("{}{}", "y ".repeat(245), "abcdefghij0123456789".repeat(20)));
        assert!(!cut.contains("abcdefghij"), "{cut}");
    }

    #[test]
    fn a_secret_is_hidden_whole_and_cut_short() {
        let hidden = |text: &str, secret: &str| {
            let mut text = text.to_owned();
            hide(&mut text, secret);
            text
        };
        assert_eq!(
            hidden("s3cret-of-app, s3cret-of-ap! s3cret-", "s3cret-of-app"),
            "[redacted], [redacted]! s3cret-"
        );
        assert_eq!(
            hidden("s3cret-os3cret-of-app and more", "s3cret-of-app"),
            "[redacted] and more"
        );
        assert_eq!(
            hidden("(two words, two word, two wo)", "two words"),
            "([redacted], [redacted], two wo)"
        );
        assert_eq!(
            hidden("short (short) shortly shor", "short"),
            "[redacted] ([redacted]) shortly shor"
        );
        assert_eq!(hidden("a Bearer a, aa", "a"), "[redacted] Bearer [redacted], aa");
        assert_eq!(hidden("ключ-ключ ключ-клю", "ключ-ключ"), "[redacted] [redacted]");
        assert_eq!(hidden("[redacted] as it was", "[redacted]"), "[redacted] as it was");
        assert_eq!(hidden("anything", ""), "anything");
    }
}
