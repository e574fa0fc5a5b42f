//! What is secret of a profile: values from variables, keys, headers.

use crate::environment::Environment;
use crate::profile::{Endpoint, Managed, ProfileKind};
use crate::redact::Redactor;

/// Has `redactor` know the secrets of a target. What is not set is somebody else's error.
pub fn learn(kind: &ProfileKind, environment: &Environment, redactor: &mut Redactor) {
    match kind {
        ProfileKind::Embedded(_) => {}
        ProfileKind::Endpoint(endpoint) => of_client(endpoint, environment, redactor),
        ProfileKind::Managed(server) => {
            of_client(&server.endpoint, environment, redactor);
            of_start(server, environment, redactor);
        }
    }
}

fn of_client(endpoint: &Endpoint, environment: &Environment, redactor: &mut Redactor) {
    let Endpoint { url, model, api_key_env, headers, ca_cert, proxy, tokenizer, .. } = endpoint;
    let texts = [model, ca_cert, proxy, tokenizer].into_iter().flatten().chain(headers.values());
    for text in texts.chain([url]) {
        redactor.add_expanded(environment, text);
    }
    for value in headers.values().filter_map(|value| environment.expand(value).ok()) {
        redactor.add(&value);
    }
    if let Some(key) = api_key_env.as_deref().and_then(|variable| environment.get(variable)) {
        redactor.add(key);
    }
}

fn of_start(server: &Managed, environment: &Environment, redactor: &mut Redactor) {
    let words = || server.command.iter().chain(&server.args);
    for text in words().chain(server.env.values()).chain(&server.cwd) {
        redactor.add_expanded(environment, text);
    }
    let words: Vec<String> = words().filter_map(|word| environment.expand(word).ok()).collect();
    redactor.add_arguments(&words);
    for (name, value) in &server.env {
        if let Ok(value) = environment.expand(value) {
            redactor.add_named(name, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::load;

    #[test]
    fn every_secret_of_a_profile_is_known() {
        let text = "[profiles.x]\nkind = \"managed\"\ncommand = [\"serve\", \"{port}\", \"--api-key\", \"arg-1111\"]\n\
                    args = [\"${A}\"]\nenv = { MY_TOKEN = \"env-1111\", OTHER = \"${B}\" }\napi_key_env = \"C\"\n\
                    headers = { X = \"head-1111\" }\n";
        let profile = load("tokpace.toml", text).unwrap().profiles["x"].clone();
        let variables = [("A", "var-aaaa"), ("B", "var-bbbb"), ("C", "key-cccc"), ("D", "not-dddd")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment::new(variables, "").unwrap();
        let mut redactor = Redactor::default();
        learn(&profile.kind, &environment, &mut redactor);
        let said = "arg-1111 env-1111 var-aaaa var-bbbb key-cccc head-1111 not-dddd serve";
        assert_eq!(redactor.redact(said), "*** *** *** *** *** *** not-dddd serve");
    }
}
