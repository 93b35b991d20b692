"""Inputs and outputs of a v2 job: local folders that the platform fills and uploads."""
from __future__ import annotations

from tests.job.modelarts.mocked.container.conftest import log_of, printed, wait_until

IN, OUT = (("data_url", "/bucket/pacs/"),), (("train_url", "/bucket/out/"),)


def test_inputs_are_there_before_the_start_and_outputs_are_uploaded_after(platform):
    platform.obs.put("bucket", "pacs/photo/dog.jpg", b"image")
    platform.code("""
        with open(os.path.join(args["data_url"], "photo", "dog.jpg")) as stream:
            say(stream.read())
        os.makedirs(os.path.join(args["train_url"], "run"))
        with open(os.path.join(args["train_url"], "run", "eva.txt"), "w") as stream:
            stream.write("0.5")
        channels = json.loads(os.environ["MA_OUTPUTS"])["outputs"]
        assert channels[0]["local_dir"] == args["train_url"]
        sys.exit(5)""")
    code, container = platform.run(inputs=IN, outputs=OUT)
    assert code == 5 and printed(container) == ["image"], log_of(container)
    assert platform.obs.get("bucket", "out/run/eva.txt") == b"0.5"


def test_outputs_are_uploaded_during_the_run_once_a_version_and_never_deleted(platform):
    platform.code("""
        path = os.path.join(args["train_url"], "a.txt")
        for text in ("first", "second"):
            with open(path + ".new", "w") as stream:
                stream.write(text)
            os.replace(path + ".new", path)
            say(text)
            time.sleep(0.3)
        os.remove(path)
        time.sleep(60)""")
    container = platform.container(outputs=OUT)
    stored = []
    put = platform.obs.put
    platform.obs.put = lambda bucket, key, stream: stored.append((key, put(bucket, key, stream)))
    container.start()
    wait_until(lambda: len(printed(container)) == 2)
    wait_until(lambda: "out/a.txt" in platform.obs.keys("bucket")
               and platform.obs.get("bucket", "out/a.txt") == b"second")
    container.terminate()
    container.wait(30)
    assert platform.obs.keys("bucket", "out/") == ["out/a.txt"]
    assert [key for key, _ in stored if key == "out/a.txt"] == ["out/a.txt"] * 2


def test_a_new_container_finds_earlier_outputs_only_with_predownload(platform):
    platform.obs.put("bucket", "out/old.txt", b"old")
    platform.code("say(os.listdir(args['train_url']))")
    assert printed(platform.run(outputs=OUT)[1]) == ["[]"]
    code, container = platform.run(name="two", outputs=OUT, predownload=True)
    assert printed(container) == ["['old.txt']"]


def test_a_killed_container_uploads_nothing_more(platform):
    platform.code("""
        open(os.path.join(args["train_url"], "a.txt"), "w").close()
        say("written")
        time.sleep(60)""")
    container = platform.container(outputs=OUT, sync_seconds=60)
    container.start()
    wait_until(lambda: printed(container) == ["written"])
    container.kill()
    assert container.poll() == 137 and platform.obs.keys("bucket", "out/") == []


def test_a_bucket_that_vanished_is_told_in_the_log_and_the_job_goes_on(platform):
    platform.obs.create_bucket("other")
    platform.code("""
        open(os.path.join(args["train_url"], "a.txt"), "w").close()
        say("written")""")
    container = platform.container(outputs=(("train_url", "/other/out/"),))
    get = platform.obs.get
    platform.obs.get = lambda *where: (platform.obs._store.delete_bucket("other"), get(*where))[1]
    container.start()
    assert container.wait(30) == 0
    assert "cannot upload the output: /other/out/: NoSuchBucket" in log_of(container)
