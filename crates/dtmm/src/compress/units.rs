//! The grains at which weights may go.

/// Kinds of units that the scheduler may choose from, for each layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units {
    /// Whole filters, with their channels.
    pub filters: bool,
    /// All input channels of a filter at one position.
    pub filterlets: bool,
    /// Runs of so many input channels, ascending; empty: none.
    pub groups: Vec<usize>,
}

/// Runs that the package can store besides whole filterlets.
const GROUPS: [usize; 3] = [4, 8, 16];
const SUB: &str = "sub-filterlet";

impl Default for Units {
    fn default() -> Self {
        Units { filters: true, filterlets: true, groups: GROUPS.to_vec() }
    }
}

impl Units {
    /// Reads `filter`, `filterlet`, `sub-filterlet` (4, 8 or 16 channels, by layer) and `sub-filterlet:G` (just G); the
    /// error says what can be written.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut units = Units { filters: false, filterlets: false, groups: vec![] };
        for name in names {
            let group = name.strip_prefix(SUB).and_then(|rest| rest.strip_prefix(':')?.parse().ok());
            match (name, group) {
                ("filter", _) => units.filters = true,
                ("filterlet", _) => units.filterlets = true,
                (SUB, _) => units.groups.extend(GROUPS),
                (_, Some(g)) if GROUPS.contains(&g) => units.groups.push(g),
                _ => {
                    let known = "filter, filterlet, sub-filterlet, sub-filterlet:4, sub-filterlet:8, sub-filterlet:16";
                    return Err(format!("'{name}' is no unit: the units are {known}"));
                }
            }
        }
        units.groups.sort_unstable();
        units.groups.dedup();
        Ok(units)
    }

    /// The names that [`Units::from_names`] reads.
    pub fn names(&self) -> Vec<String> {
        let plain = [("filter", self.filters), ("filterlet", self.filterlets), (SUB, self.groups == GROUPS)];
        let plain = plain.into_iter().filter(|p| p.1).map(|p| p.0.to_owned());
        let fixed = self.groups.iter().filter(|_| self.groups != GROUPS).map(|g| format!("{SUB}:{g}"));
        plain.chain(fixed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let read = |text: &str| Units::from_names(text.split(','));
        assert_eq!(read("filter,filterlet,sub-filterlet"), Ok(Units::default()));
        for text in ["filter", "filterlet,sub-filterlet:8", "filter,sub-filterlet:4,sub-filterlet:16"] {
            assert_eq!(read(text).unwrap().names().join(","), text);
        }
        assert!(read("sub-filterlet:5").is_err() && read("channel").is_err());
    }
}
