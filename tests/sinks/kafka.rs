//! Topics of Kafka, against the cluster that librdkafka brings along: real connections and the real
//! protocol, its brokers in this process.

use std::cell::RefCell;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use url::Url;

use crate::daemon::Site;
use crate::outage::{LONG, Receiver, SHORT, nothing_is_lost};
use crate::{free_port, wait_until};

const BROKERS: i32 = 3;
const PARTITIONS: i32 = 4;

/// Three brokers and a reader of one topic.
pub struct Cluster {
    brokers: MockCluster<'static, DefaultProducerContext>,
    reader: BaseConsumer,
    read: RefCell<Vec<Record>>,
}

#[derive(Debug, Clone)]
struct Record {
    key: String,
    text: String,
    headers: Vec<(String, String)>,
}

impl Cluster {
    pub fn new(topic: &str) -> Self {
        let brokers = MockCluster::new(BROKERS).unwrap();
        brokers.create_topic(topic, PARTITIONS, BROKERS).unwrap();
        let reader: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers.bootstrap_servers())
            .set("group.id", "reader")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            all.add_partition_offset(topic, partition, Offset::Beginning)
                .unwrap();
        }
        reader.assign(&all).unwrap();
        Self {
            brokers,
            reader,
            read: RefCell::default(),
        }
    }

    /// Whatever came so far.
    fn records(&self) -> Vec<Record> {
        let mut read = self.read.borrow_mut();
        while let Some(polled) = self.reader.poll(Duration::from_millis(300)) {
            // Brokers that are down are not there to read from.
            let Ok(message) = polled else { continue };
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            let headers = message.headers().into_iter().flat_map(|it| it.iter());
            read.push(Record {
                key: text(message.key()),
                text: text(message.payload()),
                headers: headers
                    .map(|header| (header.key.to_owned(), text(header.value)))
                    .collect(),
            });
        }
        read.clone()
    }

    /// A broker, as the configuration wants it.
    fn address(&self) -> String {
        let all = self.brokers.bootstrap_servers();
        all.split(',').next().unwrap().to_owned()
    }

    pub fn sink(&self) -> String {
        let address = Url::parse(&format!("kafka://{}", self.address())).unwrap();
        format!("url = \"{address}\"\ntopic = \"plant/7\"\n")
    }
}

impl Receiver for Cluster {
    fn start(&mut self) {
        for broker in 1..=BROKERS {
            self.brokers.broker_up(broker).unwrap();
        }
    }

    fn stop(&mut self) {
        for broker in 1..=BROKERS {
            self.brokers.broker_down(broker).unwrap();
        }
    }

    fn received(&self) -> Vec<String> {
        let records = self.records();
        for record in &records {
            let header = |name: &str| {
                let found = record.headers.iter().find(|(key, _)| key == name);
                found.map(|(_, value)| value.clone()).unwrap()
            };
            assert_eq!(header("content-type"), "application/cloudevents+json");
            assert!(record.text.contains(&header("id")));
            let camera = format!("{}/", record.key);
            assert!(
                header("route").starts_with(&camera),
                "one camera, one partition"
            );
        }
        records.into_iter().map(|it| it.text).collect()
    }
}

fn outage(outage: Duration) {
    let mut cluster = Cluster::new("plant.7.events");
    let mut site = Site::new(&cluster.sink());
    nothing_is_lost(&mut cluster, &mut site, outage);
}

#[test]
fn kafka_loses_no_event_to_an_outage_and_a_kill() {
    outage(SHORT);
}

#[test]
#[ignore = "takes three minutes"]
fn kafka_loses_no_event_to_two_minutes_of_outage_and_a_kill() {
    outage(LONG);
}

#[test]
fn kafka_that_is_not_there_is_told_and_waited_for() {
    let port = free_port();
    let mut site = Site::new(&format!("url = \"kafka://127.0.0.1:{port}\"\n"));
    site.start();
    site.wait_for_log("Connection refused");
    wait_until("events in the spool", || {
        site.metric("sink_waiting", None) >= 5
    });
    site.stop();
}

#[test]
fn kafka_that_refuses_one_event_gets_the_others() {
    let mut cluster = Cluster::new("plant.7.events");
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster
        .brokers
        .request_errors(RDKafkaApiKey::Produce, &[too_large]);
    cluster.start();
    let mut site = Site::new(&cluster.sink());
    site.start();
    site.wait_for_log("an event was refused and is given up");
    wait_until("the others", || cluster.received().len() >= 10);
    assert!(site.metric("sink_events_total", Some("refused")) >= 1);
    site.stop();
}

#[test]
fn kafka_that_does_not_allow_writing_is_told_with_the_remedy() {
    let cluster = Cluster::new("plant.7.events");
    let forbidden = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster
        .brokers
        .request_errors(RDKafkaApiKey::Produce, &[forbidden; 2]);
    let mut site = Site::new(&cluster.sink());
    site.start();
    site.wait_for_log("do not let this user write to plant.7.events");
    wait_until("what waited", || cluster.received().len() >= 10);
    site.stop();
}

#[test]
fn kafka_is_sent_results_too() {
    let cluster = Cluster::new("gantryd.results");
    let address = cluster.address();
    let mut site = Site::new(&format!(
        "url = \"kafka://{address}\"\nevents = false\nresults_hz = 5\n"
    ));
    site.start();
    wait_until("results", || cluster.records().len() >= 5);
    for record in cluster.records() {
        assert_eq!(record.key, "gate");
        let line: serde_json::Value = serde_json::from_str(&record.text).unwrap();
        assert_eq!(line["camera"], "gate");
    }
    site.stop();
}

#[test]
fn results_that_kafka_refuses_after_they_were_sent_are_counted_as_dropped() {
    let cluster = Cluster::new("gantryd.results");
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster
        .brokers
        .request_errors(RDKafkaApiKey::Produce, &[too_large; 3]);
    let address = cluster.address();
    let mut site = Site::new(&format!(
        "url = \"kafka://{address}\"\nevents = false\nresults_hz = 10\n"
    ));
    site.start();
    site.wait_for_log("results are not taken; events go on");
    wait_until("those after them", || cluster.records().len() >= 5);
    assert!(site.results_dropped("sink_failed") >= 1);
    site.stop();
}
