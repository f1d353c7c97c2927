//! Reads file and environment, and says where what is wrong stands.

use super::{Config, DEFAULT_TOML};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use toml::de::DeTable;
use toml::{Table, Value};

/// Largest settings file.
const MAX_FILE: u64 = 1 << 20;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A setting in the file.
    #[error("{path}:{line}: {message}\n  {text}")]
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong and what is allowed.
        message: String,
        /// The line.
        text: String,
    },
    /// A setting in the environment.
    #[error("environment {name}: {message}")]
    Environment {
        /// The variable.
        name: String,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// A setting on the command line.
    #[error("{option}: {message}")]
    CommandLine {
        /// The option.
        option: &'static str,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// What nobody set does not fit.
    #[error("{0}")]
    Default(String),
}

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq)]
enum Origin {
    File { path: PathBuf, line: usize, text: String },
    Environment(String),
    CommandLine(&'static str),
}

/// Where each setting that is no default was given, by section and key: `media.shards`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Origins(BTreeMap<String, Origin>);

impl Config {
    /// Notes that the command line gave this setting.
    pub fn given_by(&mut self, option: &'static str, setting: &str) {
        self.origins.0.insert(setting.to_owned(), Origin::CommandLine(option));
    }

    /// What is wrong with these settings, told where the first of them that was given stands.
    pub fn wrong(&self, settings: &[&str], message: String) -> ConfigError {
        match settings.iter().find_map(|setting| self.origins.0.get(*setting)).cloned() {
            Some(Origin::File { path, line, text }) => ConfigError::File { path, line, message, text },
            Some(Origin::Environment(name)) => ConfigError::Environment { name, message },
            Some(Origin::CommandLine(option)) => ConfigError::CommandLine { option, message },
            None => ConfigError::Default(message),
        }
    }
}

/// The settings file when none is named: `plenum.toml` here, then in `/etc/plenum`.
pub fn find() -> Option<PathBuf> {
    ["plenum.toml", "/etc/plenum/plenum.toml"].map(PathBuf::from).into_iter().find(|p| p.is_file())
}

/// The defaults, changed by `file`, changed by those of `environment` that are named `PLENUM_<SECTION>_<KEY>`.
///
/// # Errors
/// The first thing that is wrong, with where it stands and what is allowed.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let (mut settings, mut origins) = file.map_or_else(|| Ok(Default::default()), read)?;
    let mut variables: Vec<_> = environment.into_iter().filter(|(name, _)| name.starts_with("PLENUM_")).collect();
    variables.sort();
    for (name, value) in variables {
        if let Some((section, key)) = setting(&name) {
            let value = value_of(&name, &section, &key, &value)?;
            origins.0.insert(format!("{section}.{key}"), Origin::Environment(name));
            let table = settings.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(table) = table {
                table.insert(key, value);
            }
        }
    }
    let config: Config =
        settings.try_into().map_err(|e: toml::de::Error| ConfigError::Default(e.message().to_owned()))?;
    Ok(Config { origins, ..config })
}

fn read(path: &Path) -> Result<(Table, Origins), ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "longer than 1 MiB")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let line_at = |at: usize| {
        let line = text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count();
        (line + 1, text.lines().nth(line).unwrap_or_default().trim().to_owned())
    };
    let wrong = |error: toml::de::Error| {
        let (line, text) = line_at(error.span().map_or(0, |span| span.start));
        ConfigError::File { path: path.to_owned(), line, message: error.message().to_owned(), text }
    };
    // Read as what it must be, for errors with lines; kept as a table, for merging.
    toml::from_str::<Config>(&text).map_err(wrong)?;
    let mut origins = Origins::default();
    for (section, table) in DeTable::parse(&text).map_err(wrong)?.get_ref() {
        for (key, _) in table.get_ref().as_table().into_iter().flatten() {
            let (line, text) = line_at(key.span().start);
            let origin = Origin::File { path: path.to_owned(), line, text };
            origins.0.insert(format!("{}.{}", section.get_ref(), key.get_ref()), origin);
        }
    }
    Ok((text.parse::<Table>().map_err(wrong)?, origins))
}

/// Every setting with its default.
static DEFAULTS: LazyLock<Table> = LazyLock::new(|| DEFAULT_TOML.parse().unwrap_or_default());

/// Section and key that a variable names; `None` for variables that are not about a section of ours.
fn setting(name: &str) -> Option<(String, String)> {
    let name = name.strip_prefix("PLENUM_")?.to_ascii_lowercase();
    let (section, key) = name.split_once('_')?;
    DEFAULTS.contains_key(section).then(|| (section.to_owned(), key.to_owned()))
}

/// A variable's text as the first of these that the setting takes: TOML, a list with commas, plain text.
fn value_of(name: &str, section: &str, key: &str, text: &str) -> Result<Value, ConfigError> {
    let is_list = DEFAULTS.get(section).and_then(|s| s.get(key)).is_some_and(Value::is_array);
    let quoted = Value::String(text.to_owned());
    let list =
        || text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| Value::String(t.to_owned())).collect();
    let plain = if is_list { Value::Array(list()) } else { quoted };
    let as_toml = format!("x = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("x"));
    let mut first_error = None;
    for value in as_toml.into_iter().chain([plain]) {
        let inner = Table::from_iter([(key.to_owned(), value.clone())]);
        let document = Table::from_iter([(section.to_owned(), Value::Table(inner))]);
        match document.try_into::<Config>() {
            Ok(_) => return Ok(value),
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    let message = first_error.map_or_else(String::new, |e| e.message().to_owned());
    Err(ConfigError::Environment { name: name.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::super::{Auto, Io, Machine};
    use super::*;

    fn with(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plenum.toml");
        std::fs::write(&path, text).unwrap();
        load(Some(&path), environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    fn wrong(text: &str) -> String {
        let message = with(text, &[]).unwrap_err().to_string();
        message.rsplit_once("plenum.toml").map_or(message.clone(), |(_, rest)| rest.to_owned())
    }

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let config =
            with("[media]\nport_base = 41000\nshards = 2\nadvertised = [\"10.0.0.5=203.0.113.9\"]\n", &[]).unwrap();
        assert_eq!((config.media.port_base, config.media.shards), (41_000, Auto::Is(2)));
        assert_eq!(config.media.advertised[0].public.to_string(), "203.0.113.9");
        assert!(config.media.tcp);
        assert_eq!(with("", &[]).unwrap(), Config::default());
        assert_eq!(load(None, []).unwrap(), Config::default());
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_line_and_what_is_allowed() {
        let io = wrong("# mine\n[media]\nio = \"epoll\"\n");
        assert!(
            io.starts_with(":3: ") && io.contains("`auto`, `uring`, `mmsg`") && io.contains("io = \"epoll\""),
            "{io}"
        );
        let key = wrong("[media]\nport = 1\n");
        assert!(key.starts_with(":2: unknown field `port`") && key.contains("`port_base`"), "{key}");
        let section = wrong("[medai]\nport_base = 1\n");
        assert!(section.contains("unknown field `medai`") && section.contains("`media`"), "{section}");
        let range = wrong("[limits]\n\ncalls_per_participant = 0\n");
        assert!(range.starts_with(":3: ") && range.contains("1 to 64"), "{range}");
        let tracks = wrong("[limits]\ntracks_per_call = 129\n");
        assert!(tracks.starts_with(":2: ") && tracks.contains("1 to 128"), "{tracks}");
        for rate in ["0", "61", "29.97"] {
            let rate = wrong(&format!("[mix]\nframe_rate = {rate}\n"));
            assert!(rate.starts_with(":2: ") && (rate.contains("1 to 60") || rate.contains("u8")), "{rate}");
        }
        let shards = wrong("[media]\nshards = 65\n");
        assert!(shards.contains("\"auto\" or a number from 1 to 64"), "{shards}");
        let port = wrong("[media]\nport_base = 70000\n");
        assert!(port.starts_with(":2: ") && port.contains("u16"), "{port}");
        let nat = wrong("[media]\nadvertised = [\n  \"10.0.0.5=::1\",\n]\n");
        assert!(nat.contains("of one family"), "{nat}");
        let level = wrong("[log]\nlevel = \"loud\"\n");
        assert!(level.contains("error, warn, info, debug, trace"), "{level}");
        let syntax = wrong("[media\n");
        assert!(syntax.starts_with(":1: "), "{syntax}");
        assert!(load(Some(Path::new("/nonexistent/plenum.toml")), []).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn the_environment_goes_before_the_file_and_takes_numbers_words_and_lists() {
        let environment = [
            ("PLENUM_MEDIA_PORT_BASE", "42000"),
            ("PLENUM_MEDIA_IO", "mmsg"),
            ("PLENUM_MEDIA_IP", "192.0.2.1, 2001:db8::1"),
            ("PLENUM_MEDIA_TCP", "false"),
            ("PLENUM_SERVER_LISTEN", "127.0.0.1:9443"),
            ("PLENUM_CODECS_SET", "opus,vp8"),
            ("PLENUM_ICE_TURN", "[{ urls = [\"turn:t:3478\"], username = \"u\", credential = \"p\" }]"),
            ("PLENUM_MIX_AUTO_GAIN", "true"),
            ("PLENUM_SIM_SEEDS", "5"),
            ("HOME", "/root"),
        ];
        let config = with("[media]\nport_base = 41000\nio = \"uring\"\n", &environment).unwrap();
        assert_eq!((config.media.port_base, config.media.io, config.media.tcp), (42_000, Io::Mmsg, false));
        assert_eq!((config.media.ip.len(), config.codecs.set.len(), config.ice.turn.len()), (2, 2, 1));
        assert_eq!(config.server.listen, ["127.0.0.1:9443".parse().unwrap()]);
        assert!(config.mix.auto_gain);
    }

    #[test]
    fn every_setting_has_a_variable() {
        for (section, settings) in DEFAULTS.iter() {
            for (key, default) in settings.as_table().expect("sections") {
                let name = format!("PLENUM_{section}_{key}").to_ascii_uppercase();
                let mut same = with("", &[(&name, &default.to_string())]).unwrap();
                assert_eq!(same.origins.0.remove(&format!("{section}.{key}")), Some(Origin::Environment(name)));
                assert_eq!(same, Config::default());
            }
        }
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let unknown = with("", &[("PLENUM_MEDIA_PORT", "1")]).unwrap_err().to_string();
        assert!(unknown.starts_with("environment PLENUM_MEDIA_PORT: unknown field `port`"), "{unknown}");
        let bad = with("", &[("PLENUM_MEDIA_IO", "epoll")]).unwrap_err().to_string();
        assert!(bad.contains("`mmsg`"), "{bad}");
    }

    #[test]
    fn what_does_not_fit_together_is_told_where_it_was_given() {
        let machine = Machine { memory: 8 << 30, cores: 4, open_files: 4_096 };
        let said = |config: &Config| {
            let message = config.resolve(&machine).unwrap_err().to_string();
            message.rsplit_once("plenum.toml").map_or(message.clone(), |(_, rest)| rest.to_owned())
        };
        let of = |text: &str, environment: &[(&str, &str)]| said(&with(text, environment).unwrap());
        let half = of("[tls]\n# Ours.\ncert = \"a.pem\"\n", &[]);
        assert_eq!(half, ":3: tls.cert and tls.key: both must be given, or neither\n  cert = \"a.pem\"");
        let ports = of("[media]\nport_base = 65530\nshards = 10\n", &[]);
        assert!(ports.starts_with(":2: media.port_base: at most 65526 with 10 shards"), "{ports}");
        let shards = of("", &[("PLENUM_MEDIA_PORT_BASE", "65530"), ("PLENUM_MEDIA_SHARDS", "10")]);
        assert!(shards.starts_with("environment PLENUM_MEDIA_PORT_BASE: media.port_base"), "{shards}");
        let logo = of("mix.logo = \"/nonexistent/logo.png\"\n", &[]);
        assert!(
            logo.starts_with(":1: mix.logo: /nonexistent/logo.png: ") && logo.contains("\n  mix.logo = "),
            "{logo}"
        );

        // The command line goes before all.
        let mut config = with("[server]\ndata = \"here\"\n", &[]).unwrap();
        config.server.data = format!("/{}", "d".repeat(200)).into();
        assert!(said(&config).starts_with(":2: server.data: /ddd"));
        config.given_by("--data", "server.data");
        assert!(said(&config).starts_with("--data: server.data: /ddd"));
        let mut config = with("", &[]).unwrap();
        config.media.port_base = 65_530;
        config.media.shards = Auto::Is(7);
        assert!(said(&config).starts_with("media.port_base: at most"), "a default is nowhere");
    }
}
