//! `kind = "managed"`: a server that is started with the run, and its variants.

use super::file::ManagedFile;
use super::{CacheSwitch, Endpoint, Managed, PORT, load};
use crate::environment::is_variable_name;
use crate::toml_file::{Checker, Document, Problem, Problems};
use crate::units::Time;

const READY_TIMEOUT: Time = Time::from_secs(300);
const STOP_TIMEOUT: Time = Time::from_secs(15);

/// How a server is started and talked to. `known` are keys beside its own that a typo may have meant.
pub(super) fn managed(doc: &mut Document<'_>, known: &[&str], problems: &mut Problems) -> Option<Managed> {
    let file: ManagedFile = doc.decode(known, problems)?;
    let mut checker = Checker { doc, problems };
    check_start(&mut checker, &file);
    if file.ready_path.as_deref().is_some_and(|path| !path.starts_with('/')) {
        let name = checker.doc.name(&["ready_path"]);
        checker.problems.push(checker.at(&["ready_path"], format!("`{name}` must begin with `/`")));
    }
    checker.some_time(&["ready_timeout"], file.ready_timeout);
    checker.some_time(&["stop_timeout"], file.stop_timeout);
    if file.starts.is_some_and(|starts| !(1..=6).contains(&starts)) {
        let name = checker.doc.name(&["starts"]);
        checker.problems.push(checker.at(&["starts"], format!("`{name}` must be 1 to 6")));
    }
    load::check_client(&mut checker, file.api_key_env.as_deref(), file.headers.keys(), file.tokenizer.as_deref());
    let extra = checker.request_body(&["extra"], &file.extra);
    Some(Managed {
        preset: file.preset,
        command: file.command,
        args: file.args,
        env: file.env,
        port: file.port,
        ready_path: file.ready_path.unwrap_or_else(|| file.preset.server().ready_path.to_owned()),
        ready_timeout: file.ready_timeout.unwrap_or(READY_TIMEOUT),
        stop_timeout: file.stop_timeout.unwrap_or(STOP_TIMEOUT),
        cwd: file.cwd,
        exclusive: file.exclusive,
        starts: file.starts,
        endpoint: Endpoint {
            url: format!("http://127.0.0.1:{PORT}"),
            model: file.model,
            api_key_env: file.api_key_env,
            headers: file.headers,
            extra,
            ca_cert: None,
            proxy: None,
            tokenizer: file.tokenizer,
        },
    })
}

fn check_start(checker: &mut Checker<'_, '_>, file: &ManagedFile) {
    const COMMAND: &str = "write for example `command = [\"vllm\", \"serve\", \"MODEL\", \"--port\", \"{port}\"]`";
    let name = checker.doc.name(&["command"]);
    let intact = checker.doc.intact(&["command"]);
    match (file.command.first(), checker.doc.value_span(&["command"])) {
        (None, None) if intact => {
            let problem = Problem::error(format!("`{name}` is missing")).at(checker.doc.span());
            checker.problems.push(problem.hint(COMMAND));
        }
        (None, Some(_)) => {
            checker.problems.push(checker.at(&["command"], format!("`{name}` names no program")).hint(COMMAND));
        }
        (Some(program), _) if program.trim().is_empty() => {
            let problem = checker.at(&["command"], format!("`{name}` names no program"));
            checker.problems.push(problem.hint(COMMAND));
        }
        (Some(_), _) if file.port.is_none() && !passes_port_on(file) && checker.doc.intact(&["port"]) => {
            let problem = checker.at(&["command"], format!("`{name}` does not say on which port to listen"));
            let problem = problem.hint("pass the port on, for example with `\"--port\", \"{port}\"`");
            checker.problems.push(problem.hint("or write the port that the server has anyway: `port = 8000`"));
        }
        _ => {}
    }
    if file.port == Some(0) {
        let name = checker.doc.name(&["port"]);
        let problem = checker.at(&["port"], format!("`{name}` must be at least 1"));
        checker.problems.push(problem.hint("leave it out for a free port"));
    }
    for name in file.env.keys().filter(|name| !is_variable_name(name)) {
        let message = format!("`{}` is not the name of an environment variable", name.escape_debug());
        let span = checker.doc.key_span(&["env", name]);
        checker.problems.push(Problem::error(message).at(span).hint("use letters, digits and `_`"));
    }
}

fn passes_port_on(file: &ManagedFile) -> bool {
    file.command.iter().chain(&file.args).chain(file.env.values()).any(|text| text.contains(PORT))
}

/// The server with its prefix cache switched from `other` to `this`. What the variant says in its `own` keys stays as
/// it is.
pub(super) fn switched(mut server: Managed, [this, other]: [&CacheSwitch; 2], own: &Document<'_>) -> Managed {
    let says = |path: &[&str]| own.value(path).is_some();
    if !says(&["args"]) {
        let switch = |word: &String| this.args.iter().chain(other.args).any(|flag| flag == word);
        if !says(&["command"]) {
            server.command.retain(|word| !switch(word));
        }
        server.args.retain(|word| !switch(word));
        server.args.extend(this.args.iter().map(|word| (*word).to_owned()));
    }
    for (name, value) in this.env.iter().filter(|(name, _)| !says(&["env", name])) {
        server.env.insert((*name).to_owned(), (*value).to_owned());
    }
    server
}
