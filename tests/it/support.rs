//! A throw-away project, the programs that work on it, and servers that misbehave.

pub(crate) mod script;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokpace::harness::MeasureLock;

/// Embedded server without noise: a request of [`SCENARIO`] takes about 17 ms.
pub(crate) const PROJECT: &str = r#"
[profiles.embedded]
kind = "embedded"
ttft = { base = "2ms", per_input_token = "10us" }
itl = "3ms"
jitter = "0%"
job_noise = "1%"
"#;

/// Six trials of ten requests in about a second.
pub(crate) const SCENARIO: &str = r#"
[workload]
input_tokens = 16
output_tokens = 5

[load]
concurrency = 2
ramp_up = "2ms"
requests = 10
warmup = 2

[trials]
min = 6
max = 6

[gate]
"tpot.p50" = "<= baseline + 15%"
"#;

/// Replacements that make output the same on every run.
pub(crate) const FILTERS: [(&str, &str); 6] = [
    (r"\d{8}T\d{6}Z-\d+", "[run]"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]"),
    (r"127\.0\.0\.1:\d+", "[server]"),
    (r"process \d+", "process [id]"),
    (r"/\S*/tokpace-it-\w+", "[project]"),
    (r" \(os error \d+\)", ""),
];

/// Compares text with an inline snapshot once what differs between runs is replaced.
macro_rules! assert_text {
    ($text:expr, @$snapshot:literal) => {
        insta::with_settings!({ filters => crate::support::FILTERS }, {
            insta::assert_snapshot!($text, @$snapshot);
        });
    };
}
pub(crate) use assert_text;

/// Held while something is measured: by one test of this process, and by one process of this package.
pub(crate) struct Measuring {
    _process: MutexGuard<'static, ()>,
    _machine: MeasureLock,
}

/// Waits for whoever measures.
pub(crate) fn measuring() -> Measuring {
    static ONE: Mutex<()> = Mutex::new(());
    // A test that failed while it measured has measured to its end.
    let process = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let machine = MeasureLock::take(&target.join("tokpace/measure.lock"), &AtomicBool::new(false), |_| ()).unwrap();
    Measuring { _process: process, _machine: machine }
}

/// How a program ended and what it said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        Self {
            code: output.status.code().expect("no signal ends a program that listens for them"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts the exit code and that one of the streams contains each of `texts`, wherever lines are broken.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self}");
        for text in texts {
            assert!(self.says(text), "`{text}` is missing\n{self}");
        }
        self
    }

    /// Asserts that neither stream contains `text`, wherever lines are broken.
    #[track_caller]
    pub(crate) fn without(&self, text: &str) -> &Self {
        assert!(!self.says(text), "`{text}` is there\n{self}");
        self
    }

    fn says(&self, text: &str) -> bool {
        let text = unbroken(text);
        unbroken(&self.stdout).contains(&text) || unbroken(&self.stderr).contains(&text)
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// A text as one line with single spaces.
pub(crate) fn unbroken(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code: {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A package in a temporary folder.
pub(crate) struct Project {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Project {
    /// With [`PROJECT`] and the scenario `chat` ([`SCENARIO`]).
    pub(crate) fn new() -> Self {
        Self::empty().with("tokpace.toml", PROJECT).with("scenarios/chat.toml", SCENARIO)
    }

    /// Nothing but a folder.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("tokpace-it-").tempdir().unwrap();
        Self { folder, variables: Vec::new() }
    }

    /// With the scenario `chat` against `server`, whose profile has further `keys`.
    pub(crate) fn against(server: SocketAddr, keys: &str) -> Self {
        let profile = format!(
            "profile = \"server\"\n[profiles.server]\nkind = \"endpoint\"\nurl = \"http://{server}\"\n{keys}\n"
        );
        Self::new().with("tokpace.toml", &profile)
    }

    pub(crate) fn with(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// With an environment variable for every program.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The same folder, with another variable for every program.
    pub(crate) fn also_with<'p>(&'p mut self, name: &str, value: &str) -> &'p Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The variables for every program.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The folder, as text.
    pub(crate) fn root(&self) -> String {
        self.folder.path().to_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(path)).unwrap()
    }

    /// The values of a file of JSON Lines.
    pub(crate) fn lines(&self, path: &str) -> Vec<serde_json::Value> {
        self.read(path).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Every file below the project with its bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    files.push((entry.path(), fs::read(entry.path()).unwrap()));
                }
            }
        }
        files
    }

    /// `cargo tokpace …`, alone on the machine. Arguments are separated by spaces.
    pub(crate) fn tokpace(&self, arguments: &str) -> Output {
        self.undisturbed(tokpace(), &words(arguments))
    }

    /// A command line as documents show it: `cargo tokpace …` or `cargo test --test perf …`, alone on the machine.
    #[track_caller]
    pub(crate) fn shown(&self, line: &str) -> Output {
        let (program, arguments) = match line.strip_prefix("cargo test --test perf") {
            Some(rest) => (perf(), rest.strip_prefix(" --").unwrap_or(rest)),
            None => (tokpace(), line.strip_prefix("cargo tokpace").expect("documents name two programs")),
        };
        // What stands in quotes is one word.
        let parts = arguments.split('"').enumerate();
        let split = parts.flat_map(|(number, part)| if number % 2 == 1 { vec![part] } else { words(part) });
        self.undisturbed(program, &split.collect::<Vec<_>>())
    }

    /// `cargo test --test perf -- …`, alone on the machine.
    pub(crate) fn perf(&self, arguments: &str) -> Output {
        self.undisturbed(perf(), &words(arguments))
    }

    /// Runs a program again if it says that the machine was too busy to measure on, which is as it should be.
    fn undisturbed(&self, program: &Path, arguments: &[&str]) -> Output {
        let _alone = measuring();
        let run = || Output::of(self.command(program).args(arguments).spawn().unwrap());
        let mut output = run();
        for _ in 0..9 {
            // A run in which only some trials were lost has judged, and may have written what it found.
            let lost = ["client ", "embedded server was late"];
            let lost = lost.iter().any(|who| output.says(&format!("no measurement: the {who}")));
            let lost = lost && output.says("INVALID (");
            if !lost {
                break;
            }
            output = run();
        }
        output
    }

    /// Starts a program in the project, with an environment of its own.
    pub(crate) fn spawn(&self, program: &Path, arguments: &str) -> Child {
        let mut command = self.command(program);
        command.args(arguments.split_whitespace()).spawn().unwrap()
    }

    /// A program in the project, with an environment of its own. Nothing is typed into it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().envs(kept_variables());
        command.env("HOME", self.folder.path());
        if program != tokpace() {
            // As cargo runs a test.
            command.env("CARGO_MANIFEST_DIR", self.folder.path()).env("TOKPACE_TARGET_DIR", self.path("target"));
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// What a program needs of this process's environment: nothing that changes what tokpace does.
fn kept_variables() -> impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)> {
    const KEPT: [&str; 9] = [
        "PATH",
        "CARGO",
        "RUSTUP_HOME",
        "CARGO_HOME",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "LLVM_PROFILE_FILE",
        "SYSTEMROOT",
        "TEMP",
    ];
    std::env::vars_os().filter(|(name, _)| KEPT.iter().any(|kept| name == kept))
}

/// The program `cargo tokpace`.
pub(crate) fn tokpace() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_cargo-tokpace"))
}

/// `cargo` on this package, as a person would call it.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    // What describes this test would make cargo build dependencies anew whose build scripts look at it.
    let described = ["PKG_", "MANIFEST_", "BIN_", "CRATE_", "PRIMARY_"];
    let of_test = |name: &str| {
        let described = |name: &str| described.iter().any(|prefix| name.starts_with(prefix));
        name.strip_prefix("CARGO_").is_some_and(described)
    };
    let of_run = |name: &str| name == "CI" || name.starts_with("NEXTEST") || name.starts_with("TOKPACE_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| of_test(name) || of_run(name)) {
            command.env_remove(name);
        }
    }
    command
}

/// The test program of `tests/perf.rs`, which `cargo test` does not build by itself.
pub(crate) fn perf() -> &'static Path {
    static PERF: LazyLock<PathBuf> = LazyLock::new(|| {
        let mut command = cargo();
        command.args(["test", "--test", "perf", "--no-run", "--offline", "--message-format=json"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8(output.stdout).unwrap();
        let built = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let perf = built
            .filter(|message| message["target"]["name"] == "perf")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from));
        perf.expect("cargo says where it has put a test")
    });
    &PERF
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server that lets `answer` deal with each connection, in a thread of its own, once the head and the body of a
/// request are read. It lives as long as the tests.
pub(crate) fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            std::thread::spawn(move || {
                while let Some(request) = read_request(&mut stream) {
                    answer(&request, &mut stream);
                }
            });
        }
    });
    address
}

/// Head and body of the next request; `None` when the client has gone.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = |line: &str| line.strip_prefix("content-length: ")?.parse::<usize>().ok();
            if body.len() >= head.to_lowercase().lines().find_map(length).unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
}

/// Writes a whole answer. A client that has gone does not want it.
pub(crate) fn respond(stream: &mut TcpStream, status: &str, kind: &str, body: &str) {
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}");
}

/// An address on which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
