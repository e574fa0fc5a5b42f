//! `[profiles.X.variants.NAME]`: a profile with some of its keys changed.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::file::{ENDPOINT_VARIANT_KEYS, MANAGED_VARIANT_KEYS};
use super::{CacheSwitch, Embedded, Managed, ProfileKind, load, managed};
use crate::names;
use crate::toml_file::{Document, Problem, Problems, did_you_mean};

/// The variants that a profile has without declaring them, and whether the prefix cache is on. A managed server has
/// them if its preset says how to switch it.
const BUILT_IN: [(&str, bool); 2] = [("prefix-caching-off", false), ("prefix-caching-on", true)];

/// A variant's name and its own keys.
type Declared<'a> = (String, Document<'a>);

/// The variants that an embedded profile has without declaring them.
pub(super) fn of_embedded(base: &Embedded) -> BTreeMap<String, ProfileKind> {
    let variant = |(name, prefix_caching): (&str, bool)| {
        (name.to_owned(), ProfileKind::Embedded(Embedded { prefix_caching, ..base.clone() }))
    };
    BUILT_IN.into_iter().map(variant).collect()
}

/// The variants that a managed server's preset gives it.
fn of_managed(server: &Managed, base: &Document<'_>) -> BTreeMap<String, ProfileKind> {
    let nothing = base.clone().split(&[]);
    let variant = |(name, on): (&str, bool)| {
        let switched = managed::switched(server.clone(), cache_switch(server, on)?, &nothing);
        Some((name.to_owned(), ProfileKind::Managed(switched)))
    };
    BUILT_IN.into_iter().filter_map(variant).collect()
}

/// What switches the server's prefix cache on or off, and what would do the contrary.
fn cache_switch(server: &Managed, on: bool) -> Option<[&'static CacheSwitch; 2]> {
    let [switch_on, switch_off] = server.preset.server().prefix_caching.as_ref()?;
    Some(if on { [switch_on, switch_off] } else { [switch_off, switch_on] })
}

/// Takes the declared variants out of a profile's table, in the order of the file.
pub(super) fn declared<'a>(profile: &mut Document<'a>, problems: &mut Problems) -> Vec<Declared<'a>> {
    let tables = profile.child("variants");
    let Some((_, value)) = profile.take("variants") else { return Vec::new() };
    let Some(tables) = tables else {
        let problem = Problem::error(format!("`{}` must be a table", profile.name(&["variants"]))).at(value.span());
        problems.push(problem.hint(format!("write `[{}.NAME]`", profile.name(&["variants"]))));
        return Vec::new();
    };
    let mut declared = Vec::new();
    for name in tables.keys() {
        if let Err(error) = names::check("variant", &name) {
            problems.push(Problem::error(error.message).at(tables.key_span(&[&name])).hint(error.hint));
        }
        if let Some(table) = tables.child(&name) {
            declared.push((name, table));
        } else {
            let table = tables.name(&[&name]);
            let problem = Problem::error(format!("`{table}` must be a table")).at(tables.value_span(&[&name]));
            problems.push(problem.hint(format!("write `[{table}]`")));
        }
    }
    declared
}

/// What each variant of a profile of this kind is. `base` is the profile's table after its own decoding.
pub(super) fn resolve(
    kind: &ProfileKind,
    base: &Document<'_>,
    declared: Vec<Declared<'_>>,
    problems: &mut Problems,
) -> BTreeMap<String, ProfileKind> {
    let mut variants = match kind {
        ProfileKind::Embedded(config) => of_embedded(config),
        ProfileKind::Endpoint(_) => BTreeMap::new(),
        ProfileKind::Managed(server) => of_managed(server, base),
    };
    for (name, doc) in declared {
        let variant = match kind {
            ProfileKind::Embedded(_) => embedded(&name, doc, base, problems),
            ProfileKind::Endpoint(_) => endpoint(doc, base, problems),
            ProfileKind::Managed(server) => managed_server(&name, doc, base, server, problems),
        };
        variants.extend(variant.map(|variant| (name, variant)));
    }
    variants
}

fn embedded(name: &str, mut doc: Document<'_>, base: &Document<'_>, problems: &mut Problems) -> Option<ProfileKind> {
    let own = doc.spans();
    let caching = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, caching)| *caching);
    // What its name says holds unless it says otherwise.
    if let Some(caching) = caching.filter(|_| doc.value(&["prefix_caching"]).is_none()) {
        let value = Spanned::new(doc.span(), DeValue::Boolean(caching));
        // There is no such key yet, so that nothing is in the way.
        let _ = doc.set(&["prefix_caching".to_owned()], &doc.span(), value);
    }
    let read = |doc: &mut Document<'_>, problems: &mut Problems| load::embedded(doc, &[], problems);
    overlaid(doc, base, &own, problems, read).map(ProfileKind::Embedded)
}

fn endpoint(mut doc: Document<'_>, base: &Document<'_>, problems: &mut Problems) -> Option<ProfileKind> {
    only(&ENDPOINT_VARIANT_KEYS, "an endpoint", &mut doc, problems);
    let own = doc.spans();
    let base = without_replaced_headers(base, &doc);
    let read = |doc: &mut Document<'_>, problems: &mut Problems| load::endpoint(doc, &[], problems);
    overlaid(doc, &base, &own, problems, read).map(ProfileKind::Endpoint)
}

fn managed_server(
    name: &str,
    mut doc: Document<'_>,
    base: &Document<'_>,
    server: &Managed,
    problems: &mut Problems,
) -> Option<ProfileKind> {
    only(&MANAGED_VARIANT_KEYS, "a managed server", &mut doc, problems);
    let (own, spans) = (doc.clone(), doc.spans());
    let base = without_replaced_headers(base, &doc);
    let read = |doc: &mut Document<'_>, problems: &mut Problems| managed::managed(doc, &[], problems);
    let variant = overlaid(doc, &base, &spans, problems, read)?;
    let caching = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, on)| *on);
    let switch = caching.and_then(|on| cache_switch(server, on));
    // What its name says holds unless it says otherwise.
    Some(ProfileKind::Managed(match switch {
        Some(switch) => managed::switched(variant, switch, &own),
        None => variant,
    }))
}

/// Reports and removes keys that a variant of this kind of profile cannot change.
fn only(known: &[&str], kind: &str, doc: &mut Document<'_>, problems: &mut Problems) {
    for key in doc.keys().into_iter().filter(|key| !known.contains(&key.as_str())) {
        let hint = did_you_mean(&key, known)
            .unwrap_or_else(|| format!("known keys of {kind}'s variant: {}", known.join(", ")));
        problems.push(Problem::error(format!("unknown key `{key}`")).at(doc.key_span(&[&key])).hint(hint));
        doc.remove(&[key]);
    }
}

/// `base` without headers that the variant has in other letters: `X-Team` and `x-team` are one header.
fn without_replaced_headers<'a>(base: &Document<'a>, variant: &Document<'a>) -> Document<'a> {
    let headers = |doc: &Document<'a>| doc.child("headers").map(|headers| headers.keys()).unwrap_or_default();
    let mut rest = base.clone();
    for own in headers(variant) {
        for replaced in headers(base).into_iter().filter(|name| *name != own && name.eq_ignore_ascii_case(&own)) {
            rest.remove(&["headers".to_owned(), replaced]);
        }
    }
    rest
}

/// Reads a variant's keys over those of its profile. Only problems with the variant's `own` keys and values are
/// reported: the profile's have been.
fn overlaid<'a, T>(
    mut doc: Document<'a>,
    base: &Document<'a>,
    own: &[Range<usize>],
    problems: &mut Problems,
    read: impl FnOnce(&mut Document<'a>, &mut Problems) -> Option<T>,
) -> Option<T> {
    doc.fill_from(base);
    let known = problems.list().len();
    let value = read(&mut doc, problems);
    let holds = |span: &Range<usize>| own.iter().any(|own| own.start <= span.start && span.end <= own.end);
    problems.retain_after(known, |problem| problem.span.as_ref().is_some_and(holds));
    value
}
