"""The chart makes objects that Kubernetes takes, pods that may run anywhere, and refuses in a sentence what cannot work."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from decimal import Decimal

import helm_python
import kubernetes_validate
import pytest
import yaml

from crossmargin.adapters.tracing.provider import otlp_provider
from crossmargin.config import WITHDRAWAL_ALONE_LIMIT, WITHDRAWAL_WINDOW, Settings
from tests.observability.chart import LEAST, VALUE_SETS, objects, of_kind, pod_specs, rendered, values_of
from tests.observability.dashboards import CHART, DASHBOARDS, ROOT, RULES, rules

OF_THE_PROMETHEUS_OPERATOR = {"ServiceMonitor", "PrometheusRule"}
OLDEST_KUBERNETES = "1.27"
NEWEST_KUBERNETES = "1.37"

each_value_set = pytest.mark.parametrize("path", VALUE_SETS, ids=lambda path: path.stem)


def merged(values, changes):
    """Values with changes laid over them."""
    both = dict(values)
    for name, value in changes.items():
        both[name] = merged(both.get(name, {}), value) if isinstance(value, dict) else value
    return both


def test_there_are_four_sets_of_values():
    assert [path.stem.removesuffix("-values") for path in VALUE_SETS] == ["ha", "minimal", "production", "tls"]


@each_value_set
def test_lint_finds_nothing(path):
    found = helm_python.lint(CHART, values_of(path), strict=True)
    assert found["errors"] == []
    assert [message for message in found["messages"] if "icon is recommended" not in message["error"]] == []


@each_value_set
@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
def test_kubernetes_takes_every_object(path, version):
    checked = [one for one in objects(values_of(path)) if one["kind"] not in OF_THE_PROMETHEUS_OPERATOR]
    assert {kubernetes_validate.validate(one, version, strict=True) for one in checked} == {version}


@each_value_set
def test_names_are_unique_and_every_object_is_labelled(path):
    found = objects(values_of(path))
    assert len({(one["kind"], one["metadata"]["name"]) for one in found}) == len(found)
    for one in found:
        assert one["metadata"]["namespace"] == "prod"
        assert {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "helm.sh/chart"} <= set(
            one["metadata"]["labels"]
        )


@each_value_set
def test_every_pod_keeps_the_restricted_profile(path):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards: restricted, and beyond it a root that nobody writes to."""
    specs = pod_specs(objects(values_of(path)))
    assert len(specs) == 4
    for name, spec in specs.items():
        of_pod = spec["securityContext"]
        assert of_pod["runAsNonRoot"], name
        assert min(of_pod["runAsUser"], of_pod["runAsGroup"]) >= 10000, name
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert {next(iter(set(volume) - {"name"})) for volume in spec.get("volumes", [])} <= {
            "configMap",
            "emptyDir",
            "persistentVolumeClaim",
            "secret",
        }, name
        for container in spec["containers"] + spec.get("initContainers", []):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"], name
            assert context["runAsNonRoot"], name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert not {"privileged", "procMount", "seLinuxOptions"} & set(context), name
            assert not any("hostPort" in port for port in container.get("ports", [])), name
            assert {"requests", "limits"} <= set(container["resources"]), name
            assert "memory" in container["resources"]["limits"], name


@each_value_set
def test_a_pod_outlives_its_last_calls(path):
    values = merged(yaml.safe_load((CHART / "values.yaml").read_text()), values_of(path))
    for deployment in of_kind(objects(values), "Deployment").values():
        spec = deployment["spec"]["template"]["spec"]
        assert spec["terminationGracePeriodSeconds"] > values["shutdown"]["preStopSeconds"] + values["config"]["drainSeconds"]
        container = spec["containers"][0]
        assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", str(values["shutdown"]["preStopSeconds"])]
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@each_value_set
def test_probes_ask_the_admin_port_and_liveness_not_for_the_database(path):
    for deployment in of_kind(objects(values_of(path)), "Deployment").values():
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        assert asked == {
            "startup": {"path": "/livez", "port": "admin"},
            "liveness": {"path": "/livez", "port": "admin"},
            "readiness": {"path": "/readyz", "port": "admin"},
        }
        assert {"name": "admin", "containerPort": 9464} in container["ports"]


def faces_the_network(path) -> bool:
    """Whether the service itself does, and not a container beside it."""
    return values_of(path).get("exposure", "tls") == "tls"


@each_value_set
def test_serve_pods_are_no_candidates_and_monitor_pods_get_no_calls(path):
    found = objects(values_of(path))
    deployments, services = of_kind(found, "Deployment"), of_kind(found, "Service")
    arguments = {name: one["spec"]["template"]["spec"]["containers"][0]["args"] for name, one in deployments.items()}
    serve = ["serve", "--no-monitor"] if faces_the_network(path) else ["serve", "--insecure", "--no-monitor"]
    assert arguments == {"serve": serve, "monitor": ["serve", "--insecure", "--monitor"]}
    assert deployments["monitor"]["spec"]["replicas"] >= 2
    assert set(services) == {"", "headless", "metrics"}
    labels = {name: one["spec"]["template"]["metadata"]["labels"] for name, one in deployments.items()}
    selected = {
        name: {who for who, has in labels.items() if service["spec"]["selector"].items() <= has.items()}
        for name, service in services.items()
    }
    assert selected == {"": {"serve"}, "headless": {"serve"}, "metrics": {"serve", "monitor"}}


@each_value_set
def test_each_deployment_selects_its_own_pods_and_spreads_them(path):
    for deployment in of_kind(objects(values_of(path)), "Deployment").values():
        selector = deployment["spec"]["selector"]["matchLabels"]
        pod = deployment["spec"]["template"]
        assert selector.items() <= pod["metadata"]["labels"].items()
        constraints = pod["spec"]["topologySpreadConstraints"]
        assert [one["topologyKey"] for one in constraints] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        assert all(one["labelSelector"]["matchLabels"] == selector for one in constraints)


@each_value_set
def test_every_port_that_is_named_is_there(path):
    found = objects(values_of(path))
    pods = {name: one["spec"]["template"] for name, one in of_kind(found, "Deployment").items()}
    ports = {name: {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]} for name, pod in pods.items()}
    assert ports == {"serve": {"admin", "grpc"}, "monitor": {"admin"}}
    for service in of_kind(found, "Service").values():
        targets = {port["targetPort"] for port in service["spec"]["ports"]}
        for name, pod in pods.items():
            if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items():
                assert targets <= ports[name]
    policies = of_kind(found, "NetworkPolicy")
    for name in pods:
        assert {port["port"] for rule in policies[name]["spec"]["ingress"] for port in rule["ports"]} == ports[name]


@each_value_set
def test_settings_are_those_of_the_service_and_it_may_listen_with_them(path, monkeypatch):
    settings = of_kind(objects(values_of(path)), "ConfigMap")[""]["data"]
    ours = {name for name in settings if not name.startswith("OTEL_")}
    assert {name.removeprefix("CROSSMARGIN_").lower() for name in ours} <= set(Settings.model_fields)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    read = Settings(insecure=True, database_url="postgresql://db/books")
    read.check_exposure()
    read.check_database()
    assert read.admin_address == "0.0.0.0:9464"
    container = of_kind(objects(values_of(path)), "Deployment")["serve"]["spec"]["template"]["spec"]["containers"][0]
    own = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    assert bool(own) == faces_the_network(path)
    if own:
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        serving = Settings(database_url="postgresql://db/books")
        serving.check_exposure()
        assert (serving.grpc_address, serving.token_issuer) == ("0.0.0.0:50051", "https://issuer.example.com")
        mounted = tuple(mount["mountPath"] for mount in container["volumeMounts"])
        files = (serving.tls_cert_file, serving.tls_key_file, serving.tls_client_ca_file, serving.allow_list_file, serving.token_keys_file)
        assert all(str(file.parent) in mounted for file in files)


@pytest.mark.parametrize(
    ("config", "limit", "window_s"),
    [
        ({}, WITHDRAWAL_ALONE_LIMIT, WITHDRAWAL_WINDOW.total_seconds()),
        ({"withdrawalAloneLimit": "12345678901.25", "withdrawalWindowSeconds": 2_592_000}, Decimal("12345678901.25"), 2_592_000),
        ({"withdrawalAloneLimit": "0", "withdrawalWindowSeconds": 0}, 0, 0),
    ],
    ids=["as the service", "large", "always two persons"],
)
def test_what_one_person_may_withdraw_alone_reaches_the_service_to_the_digit(monkeypatch, config, limit, window_s):
    (settings,) = [
        one for one in objects(merged(LEAST, {"config": config})) if one["kind"] == "ConfigMap" and "CROSSMARGIN_DRAIN_S" in one["data"]
    ]
    for name in ("CROSSMARGIN_WITHDRAWAL_ALONE_LIMIT", "CROSSMARGIN_WITHDRAWAL_WINDOW_S"):
        monkeypatch.setenv(name, settings["data"][name])
    serving = Settings(database_url="postgresql://db/books")
    assert (serving.withdrawal_alone_limit, serving.withdrawal_window_s) == (limit, window_s)


def test_a_change_of_settings_replaces_the_pods():
    def checksums(values):
        return [
            one["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for one in of_kind(objects(values), "Deployment").values()
        ]

    assert checksums(LEAST) == checksums(LEAST)
    assert not set(checksums(LEAST)) & set(checksums(merged(LEAST, {"config": {"drainSeconds": 7}})))


def test_the_database_url_comes_from_the_named_secrets():
    found = objects(values_of(CHART / "ci" / "production-values.yaml"))
    secrets = {
        name: container["env"][0]["valueFrom"]["secretKeyRef"]
        for name, spec in pod_specs(found).items()
        for container in spec["containers"]
        if container.get("env")
    }
    assert secrets == {
        "Deployment demo-crossmargin-serve": {"name": "crossmargin-db", "key": "app-url"},
        "Deployment demo-crossmargin-monitor": {"name": "crossmargin-db", "key": "app-url"},
        "Job demo-crossmargin-migrate": {"name": "crossmargin-db", "key": "owner-url"},
    }
    assert not of_kind(found, "Secret")


def test_migration_is_a_hook_unless_told_otherwise():
    hook = of_kind(objects(LEAST), "Job")["migrate"]
    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    # Before an install nothing of the release exists, so the hook may stand on nothing of it.
    assert "serviceAccountName" not in hook["spec"]["template"]["spec"]
    assert "envFrom" not in hook["spec"]["template"]["spec"]["containers"][0]
    ordinary = of_kind(objects(merged(LEAST, {"migrate": {"hook": False}})), "Job")["migrate-1"]
    assert "annotations" not in ordinary["metadata"]
    assert not of_kind(objects(merged(LEAST, {"migrate": {"enabled": False}})), "Job")


def test_scaling_leaves_the_number_of_pods_to_the_scaler():
    found = objects(merged(LEAST, {"autoscaling": {"enabled": True, "minReplicas": 3}}))
    assert "replicas" not in of_kind(found, "Deployment")["serve"]["spec"]
    scaler = of_kind(found, "HorizontalPodAutoscaler")["serve"]["spec"]
    assert scaler["scaleTargetRef"]["name"] in {one["metadata"]["name"] for one in of_kind(found, "Deployment").values()}
    assert scaler["minReplicas"] == 3


def test_nobody_outside_reaches_a_loopback_release():
    found = objects({"database": LEAST["database"], "exposure": "loopback"})
    assert set(of_kind(found, "Service")) == {"metrics"}
    assert {port["port"] for rule in of_kind(found, "NetworkPolicy")["serve"]["spec"]["ingress"] for port in rule["ports"]} == {"admin"}


def test_callers_are_those_who_are_named():
    policy = of_kind(objects(values_of(CHART / "ci" / "production-values.yaml")), "NetworkPolicy")["serve"]["spec"]
    assert policy["ingress"][0]["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "order-gateways"}}}]
    assert policy["egress"][0] == {"ports": [{"protocol": "TCP", "port": 6432}], "to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}]}


def test_traces_go_to_the_collector_that_is_named_and_may_leave_for_it(monkeypatch):
    found = objects(values_of(CHART / "ci" / "production-values.yaml"))
    settings = of_kind(found, "ConfigMap")[""]["data"]
    assert settings["CROSSMARGIN_TRACING"] == "true"
    policies = of_kind(found, "NetworkPolicy")
    for policy in (policies["serve"], policies["monitor"]):
        assert {
            "ports": [{"protocol": "TCP", "port": 4317}],
            "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        } in policy["spec"]["egress"]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    provider = otlp_provider("0.1.0")
    assert provider.resource.attributes["k8s.namespace.name"] == "prod"
    assert "TraceIdRatioBased{0.1}" in provider.sampler.get_description()
    provider.shutdown()


def test_without_tracing_nothing_is_said_of_it_and_nobody_may_leave_for_it():
    found = objects(LEAST)
    assert not [name for name in of_kind(found, "ConfigMap")[""]["data"] if "TRACING" in name or name.startswith("OTEL_")]
    allowed = {
        name: {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        for name, policy in of_kind(found, "NetworkPolicy").items()
    }
    assert allowed == {"serve": {5432, 53}, "monitor": {5432, 53}, "migrate": {5432, 53}, "test": {"admin", 53}}


@each_value_set
def test_a_namespace_that_allows_nothing_by_itself_is_no_hindrance(path):
    """Every pod has the one policy that is meant for it, so that the release works where others let nothing in or out."""
    found = objects(values_of(path))
    policies = of_kind(found, "NetworkPolicy")
    labels = {
        name: (one["metadata"] if kind == "Pod" else one["spec"]["template"]["metadata"])["labels"]
        for kind in ("Deployment", "Job", "Pod")
        for name, one in of_kind(found, kind).items()
    }
    meant = {
        who: [name for name, policy in policies.items() if policy["spec"]["podSelector"]["matchLabels"].items() <= has.items()]
        for who, has in labels.items()
    }
    job = "migrate" if "migrate" in meant else "migrate-1"
    assert meant == {"serve": ["serve"], "monitor": ["monitor"], job: ["migrate"], "test-health": ["test"]}
    before, after = (one["metadata"].get("annotations", {}) for one in (policies["migrate"], of_kind(found, "Job")[job]))
    assert before.get("helm.sh/hook") == after.get("helm.sh/hook")
    assert int(before.get("helm.sh/hook-weight", -1)) < int(after.get("helm.sh/hook-weight", 0))
    assert not policies["migrate"]["spec"].get("ingress")
    assert not policies["test"]["spec"].get("ingress")


OF_THE_POD = {
    "data_dir": "--embedded is no way to run in Kubernetes",
    "embedded": "the same",
    "pg_bin": "the same",
    "insecure": "see exposure",
    "monitor": "an argument of each Deployment",
    "database_url_file": "the same",
    "migration_url": "the Job's own database_url, from migrate.existingSecret",
    "migration_url_file": "the same",
    "ready_file": "probes ask",
    "dask_scheduler": "the image has no Dask",
}
"""Settings that the pods are not given, and why."""


def test_pods_are_given_every_other_setting_of_the_service():
    values = merged(values_of(CHART / "ci" / "production-values.yaml"), {"anchors": {"existingSecret": "key", "existingClaim": "journal"}})
    found = objects(values)
    containers = [one["spec"]["template"]["spec"]["containers"][0] for one in of_kind(found, "Deployment").values()]
    given = {*of_kind(found, "ConfigMap")[""]["data"], *(one["name"] for container in containers for one in container.get("env", ()))}
    missing = set(Settings.model_fields) - {name.removeprefix("CROSSMARGIN_").lower() for name in given}
    assert missing == set(OF_THE_POD)


def test_every_limit_that_is_not_said_is_that_of_the_service(monkeypatch):
    settings = of_kind(objects(LEAST), "ConfigMap")[""]["data"]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    of_the_chart, own = Settings(database_url="postgresql://db/books"), Settings.model_construct()
    names = {name.removeprefix("CROSSMARGIN_").lower() for name in settings} - {"grpc_address", "admin_address"}
    # As many as the pod has memory for: the service would go by cores, which are the node's where a pod has no limit of its own.
    names -= {"house_processes"}
    assert {name: getattr(of_the_chart, name) for name in names} == {name: getattr(own, name) for name in names}


def test_ages_that_do_not_ascend_are_refused_by_the_chart_as_by_the_service():
    with pytest.raises(helm_python.HelmError, match=re.escape("are 3600, 60 and 2592000; each tier has to end no earlier")):
        rendered(merged(LEAST, {"config": {"historyPerMinuteSeconds": 60}}))
    (settings,) = [
        one
        for one in objects(merged(LEAST, {"config": {"callTime": "14:30", "historyPerHourSeconds": 3153600000}}))
        if one["kind"] == "ConfigMap" and "CROSSMARGIN_CALL_TIME" in one["data"]
    ]
    assert settings["data"]["CROSSMARGIN_CALL_TIME"] == "14:30"
    assert settings["data"]["CROSSMARGIN_HISTORY_PER_HOUR_S"] == "3153600000"


def test_rules_reach_prometheus_as_they_are_written():
    rule = of_kind(objects(values_of(CHART / "ci" / "ha-values.yaml")), "PrometheusRule")[""]
    installed = [one for group in rule["spec"]["groups"] for one in group["rules"]]
    assert installed == [one for path in RULES for one in rules(path)]


def test_runbooks_are_where_they_are_said_to_be():
    rule = of_kind(objects(values_of(CHART / "ci" / "production-values.yaml")), "PrometheusRule")[""]
    urls = [one["annotations"]["runbook_url"] for group in rule["spec"]["groups"] for one in group["rules"] if "alert" in one]
    assert all(url.startswith("https://git.example.com/crossmargin/blob/main/service/docs/runbooks.md#") for url in urls)


def test_dashboards_reach_grafana_as_they_are_written():
    found = of_kind(objects(merged(LEAST, {"dashboards": {"enabled": True}})), "ConfigMap")["dashboards"]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["data"] == {f"crossmargin-{path.name}": path.read_text(encoding="utf-8") for path in DASHBOARDS}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"tls": LEAST["tls"]}, "database.existingSecret is empty. Name a Secret"),
        ({"database": LEAST["database"]}, "exposure is tls and tls.existingSecret is empty."),
        ({**LEAST, "migrate": {}}, "exposure is tls and migrate.existingSecret is empty. Name a Secret with the URL of the user that owns"),
        ({**LEAST, "access": {}}, "exposure is tls and access.existingSecret is empty."),
        ({**LEAST, "access": {"existingSecret": "crossmargin-access"}}, "exposure is tls and access.tokenIssuer is empty."),
        (
            {**LEAST, "exposure": "loopback"},
            "tls.existingSecret is crossmargin-tls, but the service reads it with exposure: tls only and exposure is loopback.",
        ),
        ({"database": LEAST["database"], "exposure": "sidecar"}, "no container in serve.extraContainers has a port named grpc"),
        ({**LEAST, "tracing": {"enabled": True}}, "tracing.enabled is true and tracing.endpoint is empty. Name the collector"),
        ({**LEAST, "config": {"drainSeconds": 60}}, "shutdown.gracePeriodSeconds is 30, but a pod needs 70"),
        (
            {**LEAST, "autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 8}},
            "autoscaling.minReplicas is 9, above autoscaling.maxReplicas, which is 8.",
        ),
    ],
)
def test_values_that_cannot_work_together_are_refused_in_a_sentence(values, sentence):
    with pytest.raises(helm_python.HelmError, match=re.escape(sentence)):
        rendered(values)


@pytest.mark.parametrize(
    ("change", "place", "fault"),
    [
        ({"exposure": "plaintext"}, "/exposure", "value must be one of 'tls', 'sidecar', 'loopback'"),
        ({"replicas": 3}, "''", "additional properties 'replicas' not allowed"),
        ({"serve": {"replicaCount": 3}}, "/serve", "additional properties 'replicaCount' not allowed"),
        ({"tls": {"enabled": True}}, "/tls", "additional properties 'enabled' not allowed"),
        ({"config": {"grpcAddress": "0.0.0.0:50051"}}, "/config", "additional properties 'grpcAddress' not allowed"),
        ({"podSecurity": {"userId": 0}}, "/podSecurity/userId", "minimum: got 0, want 10,000"),
        ({"monitor": {"replicas": 0}}, "/monitor/replicas", "minimum: got 0, want 1"),
        ({"service": {"port": 443}}, "/service/port", "minimum: got 443, want 1,025"),
        ({"config": {"connectionCount": 1}}, "/config/connectionCount", "minimum: got 1, want 2"),
        ({"config": {"withdrawalAloneLimit": 1000000}}, "/config/withdrawalAloneLimit", "got number, want string"),
        ({"config": {"withdrawalAloneLimit": "-1"}}, "/config/withdrawalAloneLimit", "'-1' does not match pattern"),
        ({"config": {"withdrawalWindowSeconds": -1}}, "/config/withdrawalWindowSeconds", "minimum: got -1, want 0"),
        ({"tracing": {"endpoint": "otel-collector:4317"}}, "/tracing/endpoint", "'otel-collector:4317' does not match pattern"),
        ({"tracing": {"sampleFraction": 10}}, "/tracing/sampleFraction", "maximum: got 10, want 1"),
        ({"config": {"callTime": "9:30"}}, "/config/callTime", "'9:30' does not match pattern"),
        ({"config": {"callsPerSecond": 0}}, "/config/callsPerSecond", "minimum: got 0, want 1"),
        ({"image": {"digest": "latest"}}, "/image/digest", "'latest' does not match pattern"),
        ({"migrate": {"hook": "no"}}, "/migrate/hook", "got string, want boolean"),
    ],
)
def test_a_value_of_the_wrong_form_is_named(change, place, fault):
    with pytest.raises(helm_python.HelmError) as refused:
        rendered(merged(LEAST, change))
    assert place in str(refused.value)
    assert fault in str(refused.value)


def test_the_schema_knows_every_value_and_says_what_each_is():
    schema, values = json.loads((CHART / "values.schema.json").read_text()), yaml.safe_load((CHART / "values.yaml").read_text())

    def check(part, known, where):
        known = schema["$defs"][known["$ref"].rpartition("/")[2]] if "$ref" in known else known
        assert known["description"].endswith((".", "]")), where
        if "properties" in known:
            assert known["additionalProperties"] is False, where
            assert set(part) <= set(known["properties"]), where
            for name, value in part.items():
                check(value, known["properties"][name], f"{where}.{name}")

    check(values, schema, "values")
    assert set(schema["properties"]) - set(values) == {"global"}


def test_limits_of_the_schema_are_the_service_s_own():
    known = json.loads((CHART / "values.schema.json").read_text())["properties"]["config"]["properties"]
    ours = Settings.model_json_schema()["properties"]
    named = {
        "computeThreads": "compute_threads",
        "connectionCount": "connection_count",
        "drainSeconds": "drain_s",
        "haltAlertSeconds": "halt_alert_s",
        "withdrawalWindowSeconds": "withdrawal_window_s",
        "tokenLongestSeconds": "token_longest_s",
        "connectionLongestSeconds": "connection_longest_s",
        "historyEveryRunSeconds": "history_every_run_s",
        "historyPerMinuteSeconds": "history_per_minute_s",
        "historyPerHourSeconds": "history_per_hour_s",
    }
    for name, setting in named.items():
        assert (known[name]["minimum"], known[name]["maximum"]) == (ours[setting]["minimum"], ours[setting]["maximum"])
    count = ours["house_processes"]["anyOf"][0]
    assert (known["houseProcesses"]["minimum"], known["houseProcesses"]["maximum"]) == (count["minimum"], count["maximum"])


def test_every_value_has_a_comment_and_is_used():
    lines = (CHART / "values.yaml").read_text().splitlines()
    commented = {match[1] for above, line in itertools.pairwise(lines) if above.startswith("#") and (match := re.match(r"(\w+):", line))}
    templates = "".join(path.read_text() for folder in ("templates",) for path in (CHART / folder).rglob("*") if path.is_file())
    values = yaml.safe_load("\n".join(lines))
    for name, value in values.items():
        assert f".Values.{name}" in templates or f"$values.{name}" in templates, name
        if not isinstance(value, dict):
            assert name in commented, name


def test_notes_say_how_to_call():
    notes = rendered(LEAST)["NOTES.txt"]
    assert "--target demo-crossmargin.prod.svc:50051" in notes
    assert "Secret crossmargin-access" in " ".join(notes.split())
    assert "migrate.enabled is false" not in notes
    assert "migrate.enabled is false" in rendered(merged(LEAST, {"migrate": {"enabled": False}}))["NOTES.txt"]


def test_notes_say_what_nobody_does_yet():
    missing = {"anchors": "nobody can prove", "prometheusRule": "Nobody is alerted", "serviceMonitor": "Nothing scrapes"}
    assert all(words in rendered(LEAST)["NOTES.txt"] for words in missing.values())
    there = {"anchors": {"existingSecret": "keys"}, "prometheusRule": {"enabled": True}, "serviceMonitor": {"enabled": True}}
    assert not [words for words in missing.values() if words in rendered(merged(LEAST, there))["NOTES.txt"]]


def test_chart_service_and_image_have_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    assert f'org.opencontainers.image.version="{version}"' in (ROOT / "Dockerfile").read_text()


def test_only_the_monitor_has_the_key_of_the_anchors_and_their_file():
    values = merged(LEAST, {"anchors": {"existingSecret": "keys", "secretKey": "k.pem", "existingClaim": "kept"}})
    monitors, others = {}, {}
    for name, spec in pod_specs(objects(values)).items():
        for container in spec["containers"]:
            (monitors if name.endswith("-monitor") else others)[name, container["name"]] = (spec, container)
    ((spec, container),) = monitors.values()
    given = {each["name"]: each.get("value") for each in container["env"]}
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert given["CROSSMARGIN_ANCHOR_KEY_FILE"] == f"{mounted['anchor-key']}/k.pem"
    assert given["CROSSMARGIN_ANCHOR_FILE"] == f"{mounted['anchors']}/anchors.jsonl"
    assert {"name": "anchor-key", "secret": {"secretName": "keys"}} in spec["volumes"]
    assert {"name": "anchors", "persistentVolumeClaim": {"claimName": "kept"}} in spec["volumes"]
    for name, (other, contained) in others.items():
        assert "anchor" not in str((other.get("volumes"), contained.get("env"))), name


def test_without_a_secret_nothing_asks_for_one():
    assert "anchor-key" not in str(pod_specs(objects(LEAST)))
