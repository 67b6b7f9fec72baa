//! `gantryd web`: makes accounts, tokens and a certificate for the page. Nothing is written into the
//! configuration; what belongs there is printed.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::cli::choice;
use crate::sinks::web::{Digest, PASSWORD_BYTES, PasswordHash, Role, random_secret};

/// Shortest password (NIST SP 800-63B, 5.1.1.2).
const SHORTEST_CHARS: usize = 8;

/// `gantryd web`.
#[derive(Debug, Clone, Args)]
pub struct WebArgs {
    /// What to make.
    #[command(subcommand)]
    pub command: WebCommand,
}

/// What `gantryd web` makes.
#[derive(Debug, Clone, Subcommand)]
pub enum WebCommand {
    /// Ask for a password and print the account for the configuration
    #[command(after_help = "\
Examples:
  gantryd web user anna --role operator >> site.toml
  gantryd web user anna < password.txt

The password is asked for twice on a terminal, and is the first line of anything else. It appears
nowhere; the configuration has its Argon2id hash. A viewer looks, an operator changes the configuration.")]
    User(UserArgs),
    /// Make a token for a program, and print the lines for the configuration
    #[command(after_help = "\
Example:
  gantryd web token wall-display >> site.toml
  curl -H \"Authorization: Bearer $TOKEN\" https://box.example:8780/api/v1/cameras

The token itself is shown once, on stderr; the configuration has its digest.")]
    Token(UserArgs),
    /// Make a certificate that is signed by itself, and its key
    #[command(after_help = "\
Example:
  gantryd web certificate box.example 192.0.2.7 --out /etc/gantryd

Writes web.crt and web.key, never over files that are there, and prints the lines for the configuration.
Browsers warn of such a certificate until it is installed on their machine; one of your own authority,
or of a public one, serves as well. Renewed files are taken without a restart.")]
    Certificate(CertificateArgs),
}

/// Name and role.
#[derive(Debug, Clone, Args)]
pub struct UserArgs {
    /// Its name
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub name: String,
    /// What it may do
    #[arg(long, value_parser = choice(Role::ALL), default_value = "viewer")]
    pub role: Role,
}

/// `gantryd web certificate`.
#[derive(Debug, Clone, Args)]
pub struct CertificateArgs {
    /// Names and addresses that the page is asked for by
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Where to write web.crt and web.key
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
}

/// Makes what was asked for.
///
/// # Errors
/// If the password is none, or something cannot be written.
pub fn run(command: &WebCommand) -> anyhow::Result<()> {
    let text = match command {
        WebCommand::User(args) => user(args, &read_password(&args.name)?)?,
        WebCommand::Token(args) => {
            let secret = random_secret().context("making a token")?;
            writeln!(std::io::stderr(), "The token, shown this once:\n{secret}")
                .context("showing the token")?;
            token(args, &secret)
        }
        WebCommand::Certificate(args) => certificate(&args.names, &args.out)?,
    };
    write!(std::io::stdout(), "{text}").context("printing the result")
}

fn user(args: &UserArgs, password: &str) -> anyhow::Result<String> {
    if password.chars().count() < SHORTEST_CHARS || password.len() > PASSWORD_BYTES {
        bail!(
            "the password is too short or too long, allowed are {SHORTEST_CHARS} to {PASSWORD_BYTES} characters"
        );
    }
    let hash = PasswordHash::of(password).context("hashing the password")?;
    Ok(format!(
        "\n[[web.users]]\nname = {}\nrole = \"{}\"\npassword_hash = \"{}\"\n",
        toml_text(&args.name),
        args.role,
        hash.expose()
    ))
}

fn token(args: &UserArgs, secret: &str) -> String {
    format!(
        "\n[[web.tokens]]\nname = {}\nrole = \"{}\"\ntoken_hash = \"{}\"\n",
        toml_text(&args.name),
        args.role,
        Digest::of(secret).written()
    )
}

fn read_password(name: &str) -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin()
            .read_line(&mut line)
            .context("reading the password from stdin")?;
        return Ok(line.trim_end_matches(['\n', '\r']).to_owned());
    }
    let ask = |question: String| {
        rpassword::prompt_password(question).context("reading the password from the terminal")
    };
    let password = ask(format!("Password of {name}: "))?;
    if ask("The same again: ".to_owned())? != password {
        bail!("the two passwords differ, try again");
    }
    Ok(password)
}

fn certificate(names: &[String], folder: &Path) -> anyhow::Result<String> {
    let made = rcgen::generate_simple_self_signed(names)
        .with_context(|| format!("making a certificate for {}", names.join(", ")))?;
    let (cert, key) = (folder.join("web.crt"), folder.join("web.key"));
    // The key first: without it the certificate is worth nothing.
    write_new(&key, &made.signing_key.serialize_pem(), 0o600)?;
    write_new(&cert, &made.cert.pem(), 0o644)?;
    let is_name = |name: &&String| name.parse::<std::net::IpAddr>().is_err();
    let listed: Vec<String> = names
        .iter()
        .filter(is_name)
        .map(|it| toml_text(it))
        .collect();
    Ok(format!(
        "# below [web]:\nnames = [{}]\ntls_cert_file = {}\ntls_key_file = {}\n",
        listed.join(", "),
        toml_text(&cert.to_string_lossy()),
        toml_text(&key.to_string_lossy())
    ))
}

fn write_new(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let shown = file.display();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(file)
        .and_then(|mut open| open.write_all(text.as_bytes()))
        .with_context(|| format!("writing {shown}; a file that is there is kept, move it away"))
}

fn toml_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn parse_name(text: &str) -> Result<String, String> {
    let is_plain = !text.trim().is_empty() && !text.chars().any(char::is_control);
    (is_plain && text.chars().count() <= 64)
        .then(|| text.to_owned())
        .ok_or_else(|| "allowed are 1 to 64 characters".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::Config;
    use crate::sinks::http::Certificate;

    fn args(name: &str) -> UserArgs {
        UserArgs {
            name: name.to_owned(),
            role: Role::Operator,
        }
    }

    #[test]
    fn what_is_printed_is_what_the_configuration_takes() {
        let folder = tempfile::tempdir().unwrap();
        let lines = certificate(
            &["box.example".to_owned(), "192.0.2.7".to_owned()],
            folder.path(),
        );
        let mut text = format!(
            "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n\
             [web]\nlisten = \"0.0.0.0:8780\"\n{}",
            lines.unwrap()
        );
        text.push_str(&user(&args("an\"na"), "correct horse").unwrap());
        text.push_str(&token(&args("ci"), "secret"));
        let config = Config::from_text(&text, &folder.path().join("site.toml")).unwrap();
        assert_eq!(&*config.web.users[0].name, "an\"na");
        assert_eq!(config.web.tokens[0].role, Role::Operator);
        assert_eq!(config.web.names, ["box.example"]);
        let files = config.web.certificate.unwrap();
        Certificate::load(&files.cert, &files.key).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&files.key).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_is_there_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("web.key"), "mine").unwrap();
        let error = certificate(&["box.example".to_owned()], folder.path()).unwrap_err();
        assert!(format!("{error:#}").contains("is kept"), "{error:#}");
        let kept = std::fs::read_to_string(folder.path().join("web.key")).unwrap();
        assert_eq!(kept, "mine");
    }

    #[test]
    fn a_short_password_is_refused() {
        assert!(user(&args("anna"), "short").is_err());
    }
}
