use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::*;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct File {
    flag: bool,
    small: u8,
    signed: i64,
    real: f64,
    text: String,
    maybe: Option<u32>,
    unit: Option<()>,
    list: Vec<Inner>,
    pair: (u32, String),
    map: BTreeMap<String, Spanned<u16>>,
    numbered: BTreeMap<u8, f32>,
    newtype: Newtype,
    word: Word,
    either: Option<Either>,
    any: Option<toml::Value>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
struct Inner {
    number: u32,
    #[serde(flatten)]
    rest: BTreeMap<String, Either>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
struct Newtype(i8);

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Word {
    #[default]
    Nothing,
    OneValue(u32),
    Two(u8, u8),
    Fields {
        a: u8,
    },
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Either {
    Number(f64),
    Texts(Vec<String>),
}

/// Every text is read, or refused with the same words and places, as without the indirection.
fn same_toml(text: &str) -> Result<File, String> {
    let told = |error: toml::de::Error| format!("{error} at {:?}", error.span());
    let erased = toml::de::Deserializer::parse(text).and_then(deserialize::<File, _>).map_err(told);
    assert_eq!(erased, toml::from_str::<File>(text).map_err(told), "{text}");
    erased
}

fn same_json(text: &str) -> Result<File, String> {
    let erased = from_json::<File>(text.as_bytes()).map_err(|error| error.to_string());
    assert_eq!(erased, serde_json::from_str::<File>(text).map_err(|error| error.to_string()), "{text}");
    erased
}

#[test]
fn toml_is_read_as_without_it() {
    let file = same_toml(
        "flag = true\nsmall = 7\nsigned = -3\nreal = 1\ntext = \"ä\"\nmaybe = 4\npair = [1, \"b\"]\nnewtype = -1\n\
         word = \"nothing\"\neither = [\"x\"]\nany = { d = 2026-01-02, l = [1.5] }\n\
         [map]\na = 1\n[numbered]\n3 = 1.5\n[[list]]\nnumber = 1\nx = 2.5\n[[list]]\nnumber = 2\n",
    )
    .unwrap();
    assert_eq!((file.maybe, file.map["a"].get_ref(), file.list.len()), (Some(4), &1, 2));
    assert_eq!(same_toml("word = { one-value = 3 }").unwrap().word, Word::OneValue(3));
    assert_eq!(same_toml("word = { two = [1, 2] }").unwrap().word, Word::Two(1, 2));
    assert_eq!(same_toml("word = { fields = { a = 1 } }").unwrap().word, Word::Fields { a: 1 });
}

#[test]
fn errors_in_toml_keep_their_words_and_places() {
    for text in [
        "flag = 1",
        "small = 300",
        "small = 99999999999999999999",
        "signed = \"x\"",
        "real = false",
        "real = 2026-01-02",
        "text = []",
        "unknown = 1",
        "[map]\na = 1\nb = -1",
        "[numbered]\nx = 1",
        "[[list]]\nnumber = 1\n[[list]]\nnumber = \"2\"",
        "[[list]]\nx = 1",
        "[[list]]\nnumber = 1\nx = true",
        "list = { number = 1 }",
        "pair = [1]",
        "newtype = 200",
        "word = \"other\"",
        "word = \"one-value\"",
        "word = { fields = { a = true } }",
        "word = { nothing = {}, two = [1, 2] }",
        "word = 5",
        "either = true",
        "flag = true\nflag = ",
    ] {
        same_toml(text).unwrap_err();
    }
}

#[test]
fn json_is_read_as_without_it() {
    let file = same_json(
        r#"{"flag":true,"small":7,"signed":-3,"real":1,"text":"ä\n","maybe":null,"unit":null,"list":[{"number":1,
        "x":["y"]}],"pair":[1,"b"],"numbered":{"3":1.5},"newtype":-1,"word":{"fields":{"a":1}},"any":{"a":[1,"b"]}}"#,
    )
    .unwrap();
    assert_eq!((file.maybe, file.word, file.numbered[&3]), (None, Word::Fields { a: 1 }, 1.5));
    assert_eq!(same_json(r#"{"word":{"two":[1,2]}}"#).unwrap().word, Word::Two(1, 2));
}

#[test]
fn errors_in_json_keep_their_words_and_places() {
    for text in [
        "",
        "{",
        "{} x",
        "5",
        r#"{"flag":null}"#,
        r#"{"flag":1.5}"#,
        r#"{"small":300}"#,
        r#"{"text":5}"#,
        "{\n\"text\": \"x\n\"}",
        r#"{"unknown":1}"#,
        r#"{"flag":true,"flag":true}"#,
        r#"{"list":[{"number":1},{"numbr":1}]}"#,
        r#"{"list":[{"number":1,"x":null}]}"#,
        r#"{"pair":[1,"b",2]}"#,
        r#"{"numbered":{"x":1}}"#,
        r#"{"word":"other"}"#,
        r#"{"word":{"two":[1]}}"#,
        r#"{"either":null,"either":{}}"#,
    ] {
        same_json(text).unwrap_err();
    }
}

#[test]
fn a_struct_is_a_table() {
    // Without the indirection a list would be taken as the fields in their order.
    let error = deserialize::<Inner, _>(toml::Value::Array(vec![1.into()])).unwrap_err();
    assert!(error.message().contains("sequence"), "{error}");
    assert!(
        from_json::<File>(b"[true]").unwrap_err().to_string().starts_with("invalid type: sequence, expected struct")
    );
}
