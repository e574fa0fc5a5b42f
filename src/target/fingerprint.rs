//! What must be equal for two sets of figures to be compared, and what a change is expected to change.

use std::collections::BTreeMap;

use crate::plan::Plan;
use crate::profile::{Embedded, Profile, ProfileKind};
use crate::record::TokenSource;
use crate::scenario::Case;
use crate::target::{Machine, Target};
use crate::wire::Protocol;

/// Revision of the client's way of measuring. It changes with every change of tokpace that moves figures,
/// so that a new client is never mistaken for a new server.
pub const MEASURE_REVISION: u32 = 3;

/// A fingerprint in its two parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Must be equal, else a comparison is inconclusive.
    pub conditions: BTreeMap<String, String>,
    /// Is what a change changes: printed beside the verdict, never in its way.
    pub subject: BTreeMap<String, String>,
}

/// The fingerprint of a case on a target. URL and port are in neither part.
pub fn of_case(
    case: &Case,
    profile: &Profile,
    target: &Target,
    machine: &Machine,
    plan: &Plan,
    token_source: Option<TokenSource>,
) -> Fingerprint {
    let mut conditions = BTreeMap::from([
        ("profile".to_owned(), profile.name.clone()),
        ("plan".to_owned(), plan.hash.clone()),
        ("model".to_owned(), target.model.clone()),
        ("tokenizer".to_owned(), target.tokenizer.fingerprint().to_owned()),
        ("measure_revision".to_owned(), MEASURE_REVISION.to_string()),
    ]);
    // The usual way of asking has no line, so that baselines from before there was another one stay as they are.
    if case.request.protocol != Protocol::default() {
        conditions.insert("protocol".into(), case.request.protocol.name().into());
    }
    if case.request.prompt_list {
        conditions.insert("prompt_list".into(), "true".into());
    }
    if let Some(source) = token_source {
        conditions.insert("token_source".into(), source.name().into());
    }
    conditions.extend(profile.labels.iter().map(|(name, value)| (format!("label.{name}"), value.clone())));
    let mut subject = BTreeMap::new();
    match &profile.kind {
        // Not the host: the simulated times are the same everywhere, so that stored figures hold anywhere.
        ProfileKind::Embedded(embedded) => {
            conditions.extend(model_settings(embedded));
            let slowdowns = [("prefill", embedded.slowdown.prefill), ("decode", embedded.slowdown.decode)];
            for (phase, share) in slowdowns.into_iter().filter(|(_, share)| share.0 != 0.0) {
                subject.insert(format!("slowdown.{phase}"), share.to_string());
            }
            if let Some(fault) = &embedded.fault {
                subject.insert("fault".into(), format!("{} {}", fault.kind, fault.rate));
            }
        }
        ProfileKind::Endpoint(_) | ProfileKind::Managed(_) => {
            conditions.insert("client.machine".into(), machine.class());
            conditions.insert("client.build".into(), machine.build.clone());
            // Those of an endpoint are on another machine.
            if let Some(driver) = machine.gpu_driver.as_ref().filter(|_| target.managed.is_some()) {
                conditions.insert("machine.gpus".into(), machine.accelerators.join(", "));
                conditions.insert("machine.gpu_driver".into(), driver.clone());
            }
        }
    }
    if let ProfileKind::Managed(_) = profile.kind {
        // It runs on this machine, so what the machine has besides the client's processors matters too.
        conditions.insert("server.machine".into(), machine.equipment());
        subject.extend(machine.os_version.iter().map(|version| ("server.os".to_owned(), version.clone())));
    }
    subject.extend(profile.variant.iter().map(|variant| ("variant".to_owned(), variant.clone())));
    subject.extend(target.managed.iter().map(|server| ("server.command".to_owned(), server.command())));
    subject.extend(target.server.iter().map(|name| ("server.name".to_owned(), name.clone())));
    subject.extend(target.version.iter().map(|version| ("server.version".to_owned(), version.clone())));
    subject.extend(machine.commit.iter().map(|commit| ("commit".to_owned(), commit.clone())));
    Fingerprint { conditions, subject }
}

fn model_settings(embedded: &Embedded) -> [(String, String); 8] {
    [
        ("ttft.base", embedded.ttft.base.to_string()),
        ("ttft.per_input_token", embedded.ttft.per_input_token.to_string()),
        ("itl", embedded.itl.to_string()),
        ("step_growth", embedded.step_growth.to_string()),
        ("jitter", embedded.jitter.to_string()),
        ("max_batch", embedded.max_batch.to_string()),
        ("kv_blocks", format!("{} of {}", embedded.kv_blocks, embedded.block_size)),
        ("prefix_caching", embedded.prefix_caching.to_string()),
    ]
    .map(|(name, value)| (format!("embedded.{name}"), value))
}
