//! Execution order of the nodes that the outputs need.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::proto::GraphProto;

/// Why there is no order.
#[derive(Debug, PartialEq)]
pub(crate) enum OrderError {
    /// These nodes depend on each other, or on such nodes.
    Cycle(Vec<usize>),
    /// Two nodes write this value.
    WrittenTwice(String),
}

/// Indices of the nodes that the graph's outputs depend on, producers first, otherwise in file order.
pub(crate) fn execution_order(graph: &GraphProto) -> Result<Vec<usize>, OrderError> {
    let producer = producers(graph)?;
    let sources = |node: usize| graph.node[node].input.iter().filter_map(|name| producer.get(name.as_str()));
    let mut needed = vec![false; graph.node.len()];
    let mut stack: Vec<usize> =
        graph.output.iter().filter_map(|o| producer.get(o.name.as_str())).copied().collect();
    while let Some(node) = stack.pop() {
        if !std::mem::replace(&mut needed[node], true) {
            stack.extend(sources(node));
        }
    }
    let mut waiting = vec![0usize; graph.node.len()];
    let mut readers: Vec<Vec<usize>> = vec![vec![]; graph.node.len()];
    for node in (0..graph.node.len()).filter(|&n| needed[n]) {
        for &source in sources(node) {
            waiting[node] += 1;
            readers[source].push(node);
        }
    }
    let ready = |n: &usize, waiting: &[usize]| needed[*n] && waiting[*n] == 0;
    let mut heap: BinaryHeap<Reverse<usize>> =
        (0..graph.node.len()).filter(|n| ready(n, &waiting)).map(Reverse).collect();
    let mut order = vec![];
    while let Some(Reverse(node)) = heap.pop() {
        order.push(node);
        for &reader in &readers[node] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                heap.push(Reverse(reader));
            }
        }
    }
    let stuck: Vec<usize> = (0..graph.node.len()).filter(|&n| needed[n] && waiting[n] > 0).collect();
    if stuck.is_empty() { Ok(order) } else { Err(OrderError::Cycle(stuck)) }
}

fn producers(graph: &GraphProto) -> Result<HashMap<&str, usize>, OrderError> {
    let mut of = HashMap::new();
    for (i, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|n| !n.is_empty()) {
            if of.insert(name.as_str(), i).is_some() {
                return Err(OrderError::WrittenTwice(name.clone()));
            }
        }
    }
    Ok(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{NodeProto, ValueInfoProto};

    fn graph(edges: &[(&str, &str)], output: &str) -> GraphProto {
        let node = |&(from, to): &(&str, &str)| NodeProto {
            input: vec![from.into()],
            output: vec![to.into()],
            ..Default::default()
        };
        let output = vec![ValueInfoProto { name: output.into(), r#type: None }];
        GraphProto { node: edges.iter().map(node).collect(), output, ..Default::default() }
    }

    #[test]
    fn sorts_and_skips_dead_nodes() {
        let g = graph(&[("b", "c"), ("x", "dead"), ("a", "b"), ("x", "a")], "c");
        assert_eq!(execution_order(&g), Ok(vec![3, 2, 0]));
    }

    #[test]
    fn reports_cycles_and_double_writes() {
        let g = graph(&[("c", "a"), ("a", "b"), ("b", "c")], "c");
        assert_eq!(execution_order(&g), Err(OrderError::Cycle(vec![0, 1, 2])));
        let g = graph(&[("x", "a"), ("x", "a")], "a");
        assert_eq!(execution_order(&g), Err(OrderError::WrittenTwice("a".into())));
    }
}
