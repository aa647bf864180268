"""All published benchmarks, by name."""

from vl3.eval.benchmark import Benchmark
from vl3.eval.tasks.activitynetqa import ACTIVITYNETQA
from vl3.eval.tasks.ai2d import AI2D
from vl3.eval.tasks.blink import BLINK
from vl3.eval.tasks.charades_sta import CHARADES_STA
from vl3.eval.tasks.chartqa import CHARTQA
from vl3.eval.tasks.docvqa import DOCVQA, DOCVQA_TEST, INFOVQA, INFOVQA_TEST
from vl3.eval.tasks.egoschema import EGOSCHEMA
from vl3.eval.tasks.gqa import GQA
from vl3.eval.tasks.longvideobench import LONGVIDEOBENCH
from vl3.eval.tasks.lvbench import LVBENCH
from vl3.eval.tasks.mathverse import MATHVERSE
from vl3.eval.tasks.mathvision import MATHVISION, MATHVISION_MINI
from vl3.eval.tasks.mathvista import MATHVISTA
from vl3.eval.tasks.mlvu import MLVU
from vl3.eval.tasks.mme import MME
from vl3.eval.tasks.mmmu import MMMU, MMMU_PRO
from vl3.eval.tasks.mmvu import MMVU, MMVU_STEPS
from vl3.eval.tasks.mvbench import MVBENCH
from vl3.eval.tasks.nextqa import NEXTQA
from vl3.eval.tasks.ocrbench import OCRBENCH
from vl3.eval.tasks.perceptiontest import PERCEPTIONTEST, PERCEPTIONTEST_TEST
from vl3.eval.tasks.realworldqa import REALWORLDQA
from vl3.eval.tasks.tempcompass import TEMPCOMPASS
from vl3.eval.tasks.videomme import VIDEOMME, VIDEOMME_SUBTITLES

IMAGES = (
    AI2D, BLINK, CHARTQA, DOCVQA, DOCVQA_TEST, GQA, INFOVQA, INFOVQA_TEST, MATHVERSE, MATHVISION, MATHVISION_MINI,
    MATHVISTA, MME, MMMU, MMMU_PRO, OCRBENCH, REALWORLDQA,
)  # fmt: skip
VIDEOS = (
    ACTIVITYNETQA, CHARADES_STA, EGOSCHEMA, LONGVIDEOBENCH, LVBENCH, MLVU, MMVU, MMVU_STEPS, MVBENCH, NEXTQA,
    PERCEPTIONTEST, PERCEPTIONTEST_TEST, TEMPCOMPASS, VIDEOMME, VIDEOMME_SUBTITLES,
)  # fmt: skip

BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in (*IMAGES, *VIDEOS)}
