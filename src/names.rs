//! Names that become files: which ones are safe as they are, and how any other is written.

use std::fmt::Write;

/// Whether a scenario, profile or variant may have this name: `[A-Za-z0-9._-]`, at least one, no leading dot.
///
/// Such a name is one path component on every system, and never `.` or `..`.
pub fn is_safe(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain)
}

/// The file name (without extension) of a case: bytes outside `[A-Za-z0-9._-]`, and a leading dot, are %-encoded.
///
/// Two cases never share a name, since `%` is encoded as well; `batch::batch=4` is `batch%3A%3Abatch%3D4`.
pub fn file_name(case: &str) -> String {
    let mut name = String::with_capacity(case.len());
    for (at, byte) in case.bytes().enumerate() {
        if is_plain(byte) && !(at == 0 && byte == b'.') {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cases_become_one_path_component() {
        for (case, name) in [
            ("chatbot", "chatbot"),
            ("batch::batch=4", "batch%3A%3Abatch%3D4"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("..", "%2E."),
            ("100%", "100%25"),
            ("größe", "gr%C3%B6%C3%9Fe"),
            ("a b", "a%20b"),
        ] {
            assert_eq!(file_name(case), name);
        }
    }

    #[test]
    fn unsafe_names() {
        for name in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ü", "a\0", "a%"] {
            assert!(!is_safe(name), "{name:?}");
        }
        assert!(is_safe("prefix-caching_2.0"));
    }

    proptest! {
        #[test]
        fn different_cases_have_different_names(a: String, b: String) {
            prop_assert_eq!(a == b, file_name(&a) == file_name(&b));
            prop_assert!(a.is_empty() || is_safe(&file_name(&a).replace('%', "_")));
        }
    }
}
