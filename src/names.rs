//! Names that become parts of paths: scenarios, profiles, variants, and the file names of cases.

use std::fmt::Write as _;

/// A name that cannot be a part of a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NameError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Whether `name` is made of ASCII letters, digits, `.`, `_` and `-`, is not empty and has no leading dot.
pub fn is_safe(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_safe_byte)
}

/// Refuses a name that is not [`is_safe`]. `kind` says what is named: `scenario`, `profile`, `variant`.
pub fn check(kind: &str, name: &str) -> Result<(), NameError> {
    if is_safe(name) {
        return Ok(());
    }
    Err(NameError {
        message: format!("`{}` cannot be the name of a {kind}", name.escape_debug()),
        hint: "use ASCII letters, digits, `.`, `_` and `-`, with no dot in front".into(),
    })
}

/// The file name of a case, without extension: every byte that is not safe becomes `%` and two hexadecimal digits.
///
/// Different names have different file names; see [`case_name`].
pub fn file_name(case: &str) -> String {
    let mut out = String::with_capacity(case.len());
    for (index, byte) in case.bytes().enumerate() {
        if is_safe_byte(byte) && !(index == 0 && byte == b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The case whose [`file_name`] this is; `None` if it is nobody's.
pub fn case_name(file_name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(file_name.len());
    let mut rest = file_name.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            (digit()? * 16 + digit()?) as u8
        } else {
            byte
        });
    }
    let name = String::from_utf8(bytes).ok()?;
    // Lower-case digits or encoded letters would give one case two files.
    (self::file_name(&name) == file_name).then_some(name)
}

fn is_safe_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn safe_names() {
        for name in ["chatbot", "a.b-c_d", "9"] {
            assert_eq!(check("scenario", name), Ok(()));
        }
        for name in ["", ".hidden", "..", "a/b", "a b", "ä", "a%b", "a\n"] {
            assert!(check("profile", name).unwrap_err().message.ends_with("cannot be the name of a profile"));
        }
    }

    #[test]
    fn file_names_of_cases() {
        assert_eq!(file_name("chatbot"), "chatbot");
        assert_eq!(file_name("batch::batch=4"), "batch%3A%3Abatch%3D4");
        assert_eq!(file_name("../é"), "%2E.%2F%C3%A9");
        assert_eq!(case_name("a%2fb"), None);
        assert_eq!(case_name("a%2"), None);
        assert_eq!(case_name("%41"), None);
        assert_eq!(case_name("%FF"), None);
    }

    proptest! {
        #[test]
        fn file_names_are_safe_and_reversible(case in ".{1,40}") {
            let file = file_name(&case);
            prop_assert!(is_safe(&file.replace('%', "x")));
            prop_assert_eq!(case_name(&file), Some(case));
        }

        #[test]
        fn no_file_name_panics(file in "[%0-9A-Fa-f.é]{0,20}") {
            if let Some(case) = case_name(&file) {
                prop_assert_eq!(file_name(&case), file);
            }
        }
    }
}
