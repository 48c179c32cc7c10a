//! Embeds `console/dist` into the binary: writes a table of its files into `OUT_DIR`. Where it has not been built, the
//! table holds one page that says how to build it, so that a Rust build never needs Node. Nothing is written into
//! the source tree.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let dist = here.join("../../console/dist");
    let not_built = here.join("not-built.html");
    // While it is absent, cargo looks again at every build.
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed={}", not_built.display());
    let mut table = String::from("&[\n");
    if dist.join("index.html").is_file() {
        let dist = dist.canonicalize()?;
        for file in files_below(&dist)? {
            table.push_str(&entry(&dist, &file)?);
        }
    } else {
        table.push_str(&row("/index.html", &not_built, None, tag(&not_built)?));
    }
    table.push_str("]\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("assets.rs"), table)
}

fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else if path.extension().is_none_or(|extension| extension != "gz") {
            files.push(path);
        }
    }
    Ok(files)
}

/// A file's row; `name.gz` beside it is its compressed form.
fn entry(dist: &Path, file: &Path) -> io::Result<String> {
    let relative = file.strip_prefix(dist).expect("it was found below").to_string_lossy().replace('\\', "/");
    let compressed = PathBuf::from(format!("{}.gz", file.display()));
    let compressed = compressed.is_file().then_some(compressed);
    Ok(row(&format!("/{relative}"), file, compressed.as_deref(), tag(file)?))
}

fn row(path: &str, plain: &Path, gzip: Option<&Path>, tag: u64) -> String {
    let include = |file: &Path| format!("include_bytes!({:?})", file.display().to_string());
    let gzip = gzip.map_or_else(|| "None".to_owned(), |file| format!("Some({})", include(file)));
    format!(
        "Asset {{ path: {path:?}, tag: \"W/\\\"{tag:016x}\\\"\", plain: {}, gzip: {gzip} }},\n",
        include(plain)
    )
}

/// A tag that changes with the content; `DefaultHasher` starts from fixed keys.
fn tag(file: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(file)?.hash(&mut hasher);
    Ok(hasher.finish())
}
