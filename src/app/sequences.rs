//! Finds the sequences of a folder in the benchmarks' layouts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceFile {
    /// Name of the sequence: of the file's folder where it is called as its `kind`, else of the file.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// The files of one kind (`gt`, `det`) in `path`, in order of their names: the file itself, or of a
/// folder `KIND/KIND.txt`, `KIND.txt`, or of each of its sequences `NAME/KIND/KIND.txt`,
/// `NAME/KIND.txt`, and `NAME.txt` where no sequence has a folder.
///
/// # Errors
/// A folder that cannot be read.
pub fn find(path: &Path, kind: &str) -> io::Result<Vec<SequenceFile>> {
    let found = |path: PathBuf| SequenceFile {
        name: name_of(&path, kind),
        path,
    };
    if !path.is_dir() {
        return Ok(vec![found(path.to_owned())]);
    }
    if let Some(file) = in_folder(path, kind) {
        return Ok(vec![found(file)]);
    }
    let entries: io::Result<Vec<PathBuf>> = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in entries? {
        if entry.is_dir() {
            folders.extend(in_folder(&entry, kind).map(found));
        } else if entry
            .extension()
            .is_some_and(|extension| extension == "txt")
        {
            files.push(found(entry));
        }
    }
    let mut sequences = if folders.is_empty() { files } else { folders };
    sequences.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sequences)
}

fn in_folder(folder: &Path, kind: &str) -> Option<PathBuf> {
    let file = format!("{kind}.txt");
    [folder.join(kind).join(&file), folder.join(&file)]
        .into_iter()
        .find(|path| path.is_file())
}

fn name_of(path: &Path, kind: &str) -> String {
    let named = if path.file_stem().is_some_and(|stem| stem == kind) {
        path.ancestors()
            .skip(1)
            .take(2)
            .find(|folder| !folder.ends_with(kind))
            .and_then(Path::file_name)
    } else {
        path.file_stem()
    };
    named.or(path.file_stem()).map_or_else(
        || "sequence".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let found = find(folder, "gt").unwrap();
        found.into_iter().map(|sequence| sequence.name).collect()
    }

    #[test]
    fn every_layout_is_found_in_order_of_names() {
        let nested = folder(&["b/gt/gt.txt", "a/gt.txt", "c/det/det.txt", "readme.txt"]);
        assert_eq!(names(nested.path()), ["a", "b"]);
        assert_eq!(names(&nested.path().join("b")), ["b"]);
        assert_eq!(names(&nested.path().join("b/gt/gt.txt")), ["b"]);
        let flat = folder(&["0001.txt", "0000.txt", "notes.md"]);
        assert_eq!(names(flat.path()), ["0000", "0001"]);
        assert_eq!(names(&flat.path().join("0001.txt")), ["0001"]);
        assert!(names(folder(&[]).path()).is_empty());
    }
}
