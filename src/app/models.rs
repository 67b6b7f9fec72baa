//! Models by id or file: finding them, and what `gantryd models` prints.
//!
//! A model's folder is `models/<id>/` with a `manifest.toml` that names its .onnx file.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use comfy_table::presets;
use comfy_table::{ContentArrangement, Table};
use sha2::{Digest, Sha256};

use crate::perception::detect::{
    DetectError, Manifest, ManifestError, ModelFiles, ModelPlan, Signature, recognise,
};

/// The file that makes a folder a model.
const MANIFEST: &str = "manifest.toml";

/// A model that cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No folder has it.
    #[error(
        "model \"{id}\" is not known{hint}; known: {known}; searched: {searched}; name a file to use one of your own: --model FILE.onnx"
    )]
    UnknownId {
        /// What was asked for.
        id: String,
        /// The nearest known id, as `, did you mean "x"?`, or nothing.
        hint: String,
        /// The known ids, or `none`.
        known: String,
        /// The folders.
        searched: String,
    },
    /// Its manifest is there, its file is not.
    #[error("model {id}: {path} is missing{}", from_where(url.as_deref()))]
    NotFetched {
        /// The model.
        id: String,
        /// Where its file should be.
        path: String,
        /// Where it can be had.
        url: Option<String>,
    },
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

fn from_where(url: Option<&str>) -> String {
    url.map_or_else(String::new, |url| format!(", get it from {url}"))
}

/// Folders that may hold models, first wins: `$GANTRYD_MODELS`, `./models`, beside the program, in
/// the source tree the program was built in, and the system's.
#[must_use]
pub fn folders() -> Vec<PathBuf> {
    let named = std::env::var_os("GANTRYD_MODELS").filter(|path| !path.is_empty());
    let program = std::env::current_exe().ok();
    let mut folders: Vec<PathBuf> = named.map(PathBuf::from).into_iter().collect();
    folders.push(PathBuf::from("models"));
    if let Some(beside) = program.as_deref().and_then(Path::parent) {
        folders.push(beside.join("../share/gantryd/models"));
        // A folder named models alone could be anything; a source tree has a Cargo.toml beside it.
        let trees = beside
            .ancestors()
            .filter(|above| above.join("Cargo.toml").is_file());
        folders.extend(trees.map(|tree| tree.join("models")));
    }
    folders.push(PathBuf::from("/usr/share/gantryd/models"));
    folders.push(PathBuf::from("/var/lib/gantryd/models"));
    folders
}

/// The files of the model that `text` names: a file if it ends in `.onnx` or contains `/`, else an id.
///
/// # Errors
/// [`ModelError`] if there is no such id, or its file or manifest cannot be used.
pub fn resolve(text: &str) -> Result<ModelFiles, ModelError> {
    if text.ends_with(".onnx") || text.contains('/') {
        Ok(by_file(Path::new(text)))
    } else {
        by_id(text, &folders())
    }
}

/// The model in `file`, with the manifest beside it where that one is about this file.
///
/// Whether the file can be used shows when it is opened.
#[must_use]
pub fn by_file(file: &Path) -> ModelFiles {
    let beside = file.with_file_name(MANIFEST);
    let is_about =
        Manifest::read(&beside).is_ok_and(|manifest| manifest.file.file_name() == file.file_name());
    ModelFiles {
        id: file
            .file_name()
            .unwrap_or(file.as_os_str())
            .to_string_lossy()
            .into_owned(),
        onnx: file.to_owned(),
        manifest: is_about.then_some(beside),
    }
}

/// The model `id` in the first of `folders` that has it.
///
/// # Errors
/// [`ModelError`] if none has it, or its file or manifest cannot be used.
pub fn by_id(id: &str, folders: &[PathBuf]) -> Result<ModelFiles, ModelError> {
    let manifests = manifests(folders);
    let Some(path) = manifests.get(id) else {
        let near = manifests
            .keys()
            .min_by_key(|known| strsim::levenshtein(known, id));
        let hint = near
            .filter(|known| strsim::levenshtein(known, id) <= 1 + id.len() / 3)
            .map_or_else(String::new, |known| format!(", did you mean \"{known}\"?"));
        let known: Vec<&str> = manifests.keys().map(String::as_str).collect();
        let searched: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        return Err(ModelError::UnknownId {
            id: id.to_owned(),
            hint,
            known: if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            },
            searched: searched.join(", "),
        });
    };
    let manifest = Manifest::read(path)?;
    let onnx = manifest.model_path(path);
    if !onnx.is_file() {
        return Err(ModelError::NotFetched {
            id: id.to_owned(),
            path: onnx.display().to_string(),
            url: manifest.url,
        });
    }
    Ok(ModelFiles {
        id: id.to_owned(),
        onnx,
        manifest: Some(path.clone()),
    })
}

/// Manifests by id; the first folder that has an id wins.
fn manifests(folders: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for entry in folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
    {
        let Ok(entry) = entry else { continue };
        let manifest = entry.path().join(MANIFEST);
        if let (true, Ok(id)) = (manifest.is_file(), entry.file_name().into_string()) {
            found.entry(id).or_insert(manifest);
        }
    }
    found
}

/// One line of `gantryd models list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The id for `--model`.
    pub id: String,
    /// Its family, or what keeps it from being recognised.
    pub family: String,
    /// Size of its input, `640x640`.
    pub input: String,
    /// Number of its classes.
    pub classes: Option<usize>,
    /// Licence of the weights, as its manifest says.
    pub licence: String,
    /// Whether its file is there.
    pub present: bool,
    /// Where it comes from, as its manifest says.
    pub source: String,
}

/// What `gantryd models list` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing(pub Vec<Listed>);

/// Every model in `folders`, by id.
#[must_use]
pub fn list(folders: &[PathBuf]) -> Listing {
    let listed = manifests(folders).into_iter().map(|(id, path)| {
        let manifest = match Manifest::read(&path) {
            Ok(manifest) => manifest,
            Err(error) => return unreadable(id, &error),
        };
        let onnx = manifest.model_path(&path);
        let plan = if onnx.is_file() {
            plan(&onnx, Some(&manifest)).map(Some)
        } else {
            Ok(None)
        };
        let (family, input, classes) = match &plan {
            Ok(Some((_, plan))) => (
                plan.family.to_owned(),
                format!("{}x{}", plan.input.width, plan.input.height),
                Some(plan.classes.len()),
            ),
            Ok(None) => (
                String::new(),
                String::new(),
                manifest.classes.as_ref().map(Vec::len),
            ),
            Err(error) => (first_line(error), String::new(), None),
        };
        Listed {
            id,
            family,
            input,
            classes,
            licence: manifest.licence.unwrap_or_default(),
            present: onnx.is_file(),
            source: manifest.source.or(manifest.url).unwrap_or_default(),
        }
    });
    Listing(listed.collect())
}

fn unreadable(id: String, error: &ManifestError) -> Listed {
    Listed {
        id,
        family: first_line(error),
        input: String::new(),
        classes: None,
        licence: String::new(),
        present: false,
        source: String::new(),
    }
}

fn first_line(error: &impl fmt::Display) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn plan(onnx: &Path, manifest: Option<&Manifest>) -> Result<(Signature, ModelPlan), DetectError> {
    let signature = Signature::read(onnx)?;
    let plan = recognise(onnx, &signature, manifest)?;
    Ok((signature, plan))
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no models; name a file to use one of your own: --model FILE.onnx");
        }
        let mut table = table();
        table.set_header([
            "ID", "FAMILY", "INPUT", "CLASSES", "LICENCE", "FILE", "SOURCE",
        ]);
        for one in &self.0 {
            let classes = one
                .classes
                .map_or_else(String::new, |count| count.to_string());
            let file = if one.present { "present" } else { "missing" };
            table.add_row([
                &one.id,
                &one.family,
                &one.input,
                &classes,
                &one.licence,
                file,
                &one.source,
            ]);
        }
        write!(f, "{}", table.trim_fmt())
    }
}

/// What `gantryd models inspect` prints.
#[derive(Debug, Clone)]
pub struct Inspection {
    files: ModelFiles,
    signature: Signature,
    plan: Result<ModelPlan, String>,
}

impl Inspection {
    /// Whether gantryd can use the model; if not, the print says why.
    #[must_use]
    pub fn is_detector(&self) -> bool {
        self.plan.is_ok()
    }
}

/// Everything that the file of a model says, without ONNX Runtime.
///
/// # Errors
/// [`DetectError`] if the file or the manifest cannot be read. A graph that is no known detector is no
/// error: the print says so.
pub fn inspect(files: ModelFiles) -> Result<Inspection, DetectError> {
    files.check()?;
    let manifest = files.manifest.as_deref().map(Manifest::read).transpose()?;
    let signature = Signature::read(&files.onnx)?;
    let plan =
        recognise(&files.onnx, &signature, manifest.as_ref()).map_err(|error| error.to_string());
    Ok(Inspection {
        files,
        signature,
        plan,
    })
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = &self.signature;
        writeln!(f, "file        {}", self.files.onnx.display())?;
        if let Some(manifest) = &self.files.manifest {
            writeln!(f, "manifest    {}", manifest.display())?;
        }
        writeln!(
            f,
            "producer    {}, opset {}",
            signature.producer, signature.opset
        )?;
        writeln!(f, "parameters  {:.2} M", signature.parameters as f64 / 1e6)?;
        for input in &signature.inputs {
            writeln!(f, "input       {input}")?;
        }
        for output in &signature.outputs {
            writeln!(f, "output      {output}")?;
        }
        for (key, value) in &signature.metadata {
            writeln!(f, "metadata    {key} = {}", shortened(value))?;
        }
        match &self.plan {
            Err(why) => write!(f, "family      none\n{why}"),
            Ok(plan) => {
                let input = &plan.input;
                writeln!(f, "family      {}", plan.family)?;
                writeln!(
                    f,
                    "picture     {}x{} {:?} {:?} {:?}, mean {:?}, std {:?}, {:?}, batch {:?}",
                    input.width,
                    input.height,
                    input.dtype,
                    input.layout,
                    input.order,
                    input.mean,
                    input.std,
                    input.resize,
                    input.batch
                )?;
                for note in &plan.notes {
                    writeln!(f, "note        {note}")?;
                }
                write!(
                    f,
                    "classes     {}: {}",
                    plan.classes.len(),
                    plan.classes.join(", ")
                )
            }
        }
    }
}

/// Metadata can hold whole documents.
fn shortened(value: &str) -> String {
    const LONGEST: usize = 200;
    let line = value.replace('\n', " ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let start: String = line.chars().take(LONGEST).collect();
    format!("{start}…")
}

/// What a model's file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// As its manifest says.
    Intact,
    /// Another file.
    Differs {
        /// SHA-256 in the manifest.
        stated: String,
        /// SHA-256 of the file.
        found: String,
    },
    /// Not there; the model has to be fetched before it can be used.
    Missing,
    /// The manifest states no SHA-256.
    NotStated,
    /// File or manifest cannot be read.
    Unreadable(String),
}

/// What `gantryd models verify` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification(pub Vec<(String, Integrity)>);

impl Verification {
    /// Whether no file contradicts its manifest; missing files do not.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.0.iter().all(|(_, integrity)| {
            matches!(
                integrity,
                Integrity::Intact | Integrity::Missing | Integrity::NotStated
            )
        })
    }
}

/// Compares every model's file in `folders` with the SHA-256 in its manifest.
#[must_use]
pub fn verify(folders: &[PathBuf]) -> Verification {
    let all = manifests(folders).into_iter();
    Verification(
        all.map(|(id, manifest)| (id, integrity(&manifest)))
            .collect(),
    )
}

fn integrity(path: &Path) -> Integrity {
    let manifest = match Manifest::read(path) {
        Ok(manifest) => manifest,
        Err(error) => return Integrity::Unreadable(first_line(&error)),
    };
    let onnx = manifest.model_path(path);
    if !onnx.is_file() {
        return Integrity::Missing;
    }
    let Some(stated) = manifest.sha256 else {
        return Integrity::NotStated;
    };
    match sha256(&onnx) {
        Ok(found) if found.eq_ignore_ascii_case(&stated) => Integrity::Intact,
        Ok(found) => Integrity::Differs { stated, found },
        Err(error) => Integrity::Unreadable(format!("{}: {error}", onnx.display())),
    }
}

/// SHA-256 of a file, lower-case hex.
fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            let digest = hasher.finalize();
            return Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&buffer[..read]);
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table();
        for (id, integrity) in &self.0 {
            let text = match integrity {
                Integrity::Intact => "intact".to_owned(),
                Integrity::Differs { stated, found } => {
                    format!("DIFFERS: sha256 is {found}, manifest says {stated}; fetch it again")
                }
                Integrity::Missing => "missing".to_owned(),
                Integrity::NotStated => "not checked: the manifest states no sha256".to_owned(),
                Integrity::Unreadable(why) => format!("UNREADABLE: {why}"),
            };
            table.add_row([id.clone(), text]);
        }
        write!(f, "{}", table.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(folder: &Path, id: &str, manifest: &str, onnx: Option<&[u8]>) {
        let folder = folder.join(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(MANIFEST), manifest).unwrap();
        if let Some(bytes) = onnx {
            std::fs::write(folder.join("m.onnx"), bytes).unwrap();
        }
    }

    #[test]
    fn the_first_folder_that_has_an_id_wins() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&first, &second] {
            model(folder.path(), "car", "file = \"m.onnx\"\n", Some(b"x"));
        }
        let folders = [first.path().to_owned(), second.path().to_owned()];
        let found = by_id("car", &folders).unwrap();
        assert_eq!(found.onnx, first.path().join("car/m.onnx"));
    }

    #[test]
    fn an_unknown_id_is_answered_with_the_nearest_and_the_places() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path(), "resident-n", "file = \"m.onnx\"\n", None);
        let folders = [folder.path().to_owned()];
        let error = by_id("resident-m", &folders).unwrap_err().to_string();
        assert!(error.contains("did you mean \"resident-n\"?"), "{error}");
        assert!(
            error.contains(&folder.path().display().to_string()),
            "{error}"
        );
    }

    #[test]
    fn a_model_that_was_not_fetched_names_its_url() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "file = \"m.onnx\"\nurl = \"https://example.org/m.onnx\"\n";
        model(folder.path(), "far", manifest, None);
        let folders = [folder.path().to_owned()];
        let error = by_id("far", &folders).unwrap_err().to_string();
        assert!(error.ends_with("m.onnx is missing, get it from https://example.org/m.onnx"));
        assert!(!list(&folders).0[0].present);
        assert!(verify(&folders).is_intact());
    }

    #[test]
    fn a_changed_file_is_found_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        // printf abc | sha256sum
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let manifest = format!("file = \"m.onnx\"\nsha256 = \"{hash}\"\n");
        model(folder.path(), "good", &manifest, Some(b"abc"));
        let folders = [folder.path().to_owned()];
        assert_eq!(verify(&folders).0[0].1, Integrity::Intact);
        model(folder.path(), "bad", &manifest, Some(b"abd"));
        let verification = verify(&folders);
        assert!(!verification.is_intact());
        assert!(verification.to_string().contains("DIFFERS"));
    }

    #[test]
    fn a_file_is_taken_as_it_is_and_its_manifest_with_it() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path(), "m", "file = \"m.onnx\"\n", Some(b"x"));
        let file = folder.path().join("m/m.onnx");
        assert_eq!(
            by_file(&file).manifest,
            Some(folder.path().join("m").join(MANIFEST))
        );
        assert_eq!(by_file(&folder.path().join("m/other.onnx")).manifest, None);
    }
}
