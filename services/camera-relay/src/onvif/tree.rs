//! An answer as a tree, for parts that are looked up by their place.

use crate::xml::{self, Attributes, Visitor, XmlError};

/// Elements of an answer at most: that of a recorder with 64 channels has some ten thousand.
const ELEMENTS: usize = 65_536;

/// An element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Without its prefix.
    pub(super) name: String,
    /// The attribute `token`, the only one of which anything is made; empty where there is none.
    pub(super) token: String,
    /// What stands directly in it.
    pub(super) text: String,
    children: Vec<Self>,
}

impl Element {
    /// Reads a document.
    pub(super) fn read(document: &str) -> Result<Self, XmlError> {
        let mut growing = Growing::default();
        xml::read(document, ELEMENTS, &mut growing)?;
        growing.root.ok_or(XmlError::Unbalanced)
    }

    /// The elements directly in it.
    pub(super) fn into_children(self) -> impl Iterator<Item = Self> {
        self.children.into_iter()
    }

    /// Those of a name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first one at the end of a way of names.
    pub(super) fn at(&self, way: &[&str]) -> Option<&Self> {
        way.iter().try_fold(self, |element, name| element.children.iter().find(|child| child.name == *name))
    }

    /// Its text; empty where there is none.
    pub(super) fn text_at(&self, way: &[&str]) -> &str {
        self.at(way).map_or("", |element| element.text.as_str())
    }

    /// The texts of all elements of a name within it, at any depth.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let own = (self.name == name).then_some(self.text.as_str());
        own.into_iter().chain(self.children.iter().flat_map(|child| child.texts(name))).collect()
    }
}

#[derive(Default)]
struct Growing {
    open: Vec<Element>,
    root: Option<Element>,
}

impl Visitor for Growing {
    fn begin(&mut self, name: &str, attributes: &Attributes<'_>) {
        let token = attributes.get("token").unwrap_or_default();
        self.open.push(Element { name: name.to_owned(), token, ..Element::default() });
    }

    fn end(&mut self, _: &str, text: &str) {
        let Some(mut element) = self.open.pop() else { return };
        text.clone_into(&mut element.text);
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_their_place() {
        let tree = Element::read("<a><b token='1'><c> x </c></b><b token='2'><c>y</c><d/></b></a>").unwrap();
        assert_eq!(tree.text_at(&["b", "c"]), "x");
        assert_eq!(tree.text_at(&["b", "d"]), "");
        assert_eq!(tree.text_at(&["c"]), "");
        assert_eq!(tree.named("b").map(|b| b.token.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(tree.texts("c"), ["x", "y"]);
    }

    #[test]
    fn what_is_no_document_is_an_error() {
        for text in ["", "words", "<a>", "<a><b></a>", "<!DOCTYPE a><a/>"] {
            assert!(Element::read(text).is_err(), "{text}");
        }
        assert!(Element::read(&format!("<a>{}</a>", "<b/>".repeat(ELEMENTS))).is_err());
    }
}
